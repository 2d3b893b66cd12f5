/** Which response codes make an http run a success: the job's `expectCode`, or the rule without one. */

import { quoted } from './executor-keys.ts';

/** Inclusive ranges of status codes. */
export type CodeRanges = readonly (readonly [first: number, last: number])[];

export type ParsedExpectCode =
  | { readonly ok: true; readonly ranges: CodeRanges | null }
  | { readonly ok: false; readonly problem: string };

const EXACT = /^[1-9]\d\d$/;
const CLASS = /^([1-9])xx$/i;
const RANGE = /^([1-9]\d\d)-([1-9]\d\d)$/;

/** Reads "200,204", "2xx", "200-299" and mixtures; blank text is no expectation (null). */
export function parseExpectCode(text: string): ParsedExpectCode {
  const ranges: [number, number][] = [];
  const entries = text.split(',').map((entry) => entry.trim());
  for (const [i, entry] of entries.entries()) {
    if (entry === '') continue;
    const range = readRange(entry);
    if (range === undefined) {
      const problem = `expectCode: entry ${i + 1}, ${quoted(entry)}, is no code, class or range (as 200, 2xx, 200-299)`;
      return { ok: false, problem };
    }
    ranges.push(range);
  }
  return { ok: true, ranges: ranges.length === 0 ? null : ranges };
}

function readRange(entry: string): [number, number] | undefined {
  if (EXACT.test(entry)) return [Number(entry), Number(entry)];
  const byClass = CLASS.exec(entry);
  if (byClass !== null) return [Number(byClass[1]) * 100, Number(byClass[1]) * 100 + 99];
  const range = RANGE.exec(entry);
  if (range === null || Number(range[1]) > Number(range[2])) return undefined;
  return [Number(range[1]), Number(range[2])];
}

/** Without an expectation 5xx fails and everything else succeeds (SEMANTICS §7; Dkron takes 5xx for success too). */
export function acceptsCode(ranges: CodeRanges | null, code: number): boolean {
  if (ranges === null) return code < 500;
  return ranges.some(([first, last]) => code >= first && code <= last);
}

/** What a person should know of a code that was accepted only because nothing was expected; undefined: nothing. */
export function codeWarning(
  config: { readonly expectCode: CodeRanges | null; readonly expectBody: string | null },
  code: number,
): string | undefined {
  if (code < 400 || config.expectCode !== null || config.expectBody !== null || !acceptsCode(null, code))
    return undefined;
  return `warning: response code ${code} counts as a success because expectCode is not given: "2xx" there makes it a failure`;
}

/** The error text of a code that was not accepted; begins with Dkron's words. */
export function codeMismatchText(expected: string | undefined, code: number): string {
  if (expected === undefined || expected.trim() === '')
    return `received response code ${code} (5xx fails unless expectCode says otherwise)`;
  return `received response code ${code} does not match the expected code ${expected.trim().slice(0, 100)}`;
}
