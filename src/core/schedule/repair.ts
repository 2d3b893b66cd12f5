// What was probably meant by a text that is no schedule: slips that concern the text as a whole. Slips inside one field are put right
// by the field's parser.
import { nearestDescriptor, spelledOut } from './forms.ts';
import { parseInstant } from './instant.ts';
import type { ParseResult, ScheduleError, ScheduleErrorCode } from './types.ts';
import { resolveZone } from './zone.ts';

interface Rewrite {
  readonly text: string;
  /** Says it better than what the parser stumbled over, and where. */
  readonly why?: { readonly message: string; readonly position: number };
}

type Rewriter = (body: string, words: readonly string[]) => Rewrite | undefined;
type Read = (text: string) => ParseResult;

/** Repairs of repairs: a text seldom has more slips. */
const ROUNDS_MAX = 4;
/** What is wrong with these is not how they are written. */
const WELL_WRITTEN: ReadonlySet<string> = new Set<ScheduleErrorCode>(['past', 'impossible', 'zone', 'empty']);

/** The error with the first suggestion that `read` finds to be a schedule, or with none. */
export function withRepair(error: ScheduleError, text: string, read: Read): ScheduleError {
  if (error.field !== 'schedule' || error.code === 'too_long') return error;
  const { suggestion: own, ...bare } = error;
  const at = bodyStart(text);
  const body = text.slice(at).trimEnd();
  const inBody = (rewrite: Rewrite): Rewrite => ({ ...rewrite, text: text.slice(0, at) + rewrite.text });
  const inField: Rewrite[] = own === undefined ? [] : [{ text: own }];
  const tried = WELL_WRITTEN.has(error.code)
    ? inField
    : [...ofSeveralFields(body).map(inBody), ...inField, ...rewrites(body).map(inBody)];
  for (const rewrite of tried) {
    const suggestion = repaired(rewrite.text, read);
    if (suggestion === undefined) continue;
    if (rewrite.why === undefined) return { ...bare, suggestion };
    return { ...bare, message: rewrite.why.message, position: rewrite.why.position + at, suggestion };
  }
  return bare;
}

/** Where the schedule begins, behind blanks and a zone. */
function bodyStart(text: string): number {
  return /^\s*(?:(?:CRON_)?TZ=\S*\s*)?/.exec(text)?.[0].length ?? 0;
}

/** The text, or what its own repairs lead to. */
function repaired(text: string, read: Read): string | undefined {
  let last = text;
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const result = read(last);
    if (result.ok) return last;
    if (result.error.suggestion === undefined) return undefined;
    last = result.error.suggestion;
  }
  return undefined;
}

/** What a repair inside a field would only make worse: to be tried before it. */
function ofSeveralFields(body: string): Rewrite[] {
  return [joined(body), zoned(body), spaced(body)].filter((rewrite) => rewrite !== undefined);
}

/** Blanks around `-`, `,` and `/` end a field; without them it is often right. */
function joined(body: string): Rewrite | undefined {
  const found = /\s+[-,/]|[-,/]\s+/.exec(body);
  if (found === null || body.startsWith('@')) return undefined;
  const why = { message: 'a blank ends a field: write ranges, lists and steps without blanks', position: found.index };
  return { text: body.replaceAll(/\s*([-,/])\s*/g, '$1'), why };
}

/** A zone in front or at the end, without what makes it one. */
function zoned(body: string): Rewrite | undefined {
  const [, inFront, behind = ''] = /^(?:(?:cron_?)?tz\s*[=:]\s*)?(\S*[a-z]{2}\S*)\s+(.*)$/is.exec(body) ?? [];
  const message = 'a time zone is written in front, "TZ=" and its name, without a blank between';
  if (inFront !== undefined && resolveZone(inFront) !== undefined)
    return { text: `TZ=${inFront} ${behind}`, why: { message, position: 0 } };
  const position = body.search(/\S+$/);
  const last = body.slice(position);
  return position <= 0 || !/[a-z]{2}/i.test(last) || resolveZone(last) === undefined
    ? undefined
    : { text: `TZ=${last} ${body.slice(0, position).trimEnd()}`, why: { message, position } };
}

/** "@every5m". */
function spaced(body: string): Rewrite | undefined {
  const [, form, rest] = /^(@every|@at|@after)(\d.*)$/s.exec(body) ?? [];
  return form === undefined ? undefined : { text: `${form} ${rest}` };
}

/** Everything else that is worth a try, the likeliest first. `body` is the text without its zone and outer blanks. */
function rewrites(body: string): Rewrite[] {
  const words = body.split(/\s+/);
  return REWRITERS.flatMap((rewriter) => rewriter(body, words) ?? []);
}

const LOOKALIKES: readonly (readonly [RegExp, string])[] = [
  [/[\u2010-\u2015\u2212]/g, '-'],
  [/[\u2217\u2731\u22c6\u00d7]/g, '*'],
  [/[\u2018\u2019\u201c\u201d\u200b\ufeff]/g, ''],
];

const REWRITERS: readonly Rewriter[] = [
  /** Dashes, stars, blanks and digits of a word processor. */
  (body) => {
    const position = body.search(/[^\t-\r -~]/);
    if (position < 0) return undefined;
    let text = body.normalize('NFKC');
    for (const [lookalike, plain] of LOOKALIKES) text = text.replaceAll(lookalike, plain);
    if (text === body) return undefined;
    const found = String.fromCodePoint(body.codePointAt(position) ?? 0);
    const number = (body.codePointAt(position) ?? 0).toString(16).toUpperCase().padStart(4, '0');
    return { text, why: { message: `"${found}" (U+${number}) only looks like a character of schedules`, position } };
  },
  (body) => {
    const inner = /^(["'`])(.*)\1$/s.exec(body)?.[2];
    return inner === undefined
      ? undefined
      : { text: inner, why: { message: 'quotation marks are not part of a schedule', position: 0 } };
  },
  /** cron(minute hour day month weekday year) and rate(5 minutes). */
  (body) => {
    const [, form, inner = ''] = /^(cron|rate)\((.*)\)$/is.exec(body) ?? [];
    if (form === undefined) return undefined;
    const text = form.toLowerCase() === 'rate' ? `@every ${spelledOut(inner) ?? inner}` : withSeconds(inner.trim());
    return { text, why: { message: `${form}(…) is another scheduler's form`, position: 0 } };
  },
  /** A line of a crontab. */
  (body, words) => {
    const command = words.findIndex((word, i) => i >= 5 && /^(?:~|\.{1,2})?\//.test(word));
    const isLine = command === 5 || (command === 6 && /^[a-z_][a-z0-9_-]*$/.test(words[5] ?? ''));
    if (!isLine) return undefined;
    const rest = words.slice(5).join(' ').slice(0, 40);
    const message = `${JSON.stringify(rest)} is no part of a schedule: a command belongs in the job's executor_config`;
    return { text: words.slice(0, 5).join(' '), why: { message, position: positionOf(body, 5) } };
  },
  (body, words) => {
    if (words.length !== 6 || !/^(?:19[7-9]\d|2[01]\d\d)(?:-2[01]\d\d)?$/.test(words[5] ?? '')) return undefined;
    const message = 'a year is the last of 7 fields, which begin with the seconds; this has 6';
    return { text: `0 ${body}`, why: { message, position: positionOf(body, 5) } };
  },
  (_body, words) => (words.length === 4 ? oneMissing(words) : undefined),
  (body, words) => (words.length === 1 && /^(?:\*|\*\/\d+)$/.test(body) ? { text: `${body} * * * *` } : undefined),
  (body) =>
    /^(?:\*(?:\/\d+)?){5,7}$/.test(body)
      ? { text: body.replaceAll('*', ' *').trim(), why: { message: 'a blank must stand between fields', position: 1 } }
      : undefined,
  (_body, words) => hourAndMinute(words),
  (_body, words) => swapped(words),
  (body) => ({
    text: body
      .replaceAll(/\.\.+/g, '-')
      .replaceAll(/[;|]/g, ',')
      .replaceAll(/(?<=^|\s),+|[,.]+(?=\s|$)|(?<=,),+/g, ''),
  }),
  /** Forms without their name. */
  (body) => (/^(?:at|after) /.test(body) ? { text: `@${body}` } : undefined),
  (body) => (parseInstant(body) === undefined ? undefined : { text: `@at ${body}` }),
  (body) => {
    const duration = /^\d+$/.test(body) ? undefined : spelledOut(body);
    return duration === undefined ? undefined : { text: `@every ${duration}` };
  },
  (body) => {
    const unit = /^@every\s+([a-z]+)$/i.exec(body)?.[1];
    const name = unit === undefined ? undefined : nearestDescriptor(unit);
    return name === undefined ? undefined : { text: name };
  },
];

/** Five fields and a year. */
function withSeconds(inner: string): string {
  return inner.split(/\s+/).length === 6 ? `0 ${inner}` : inner;
}

function positionOf(body: string, word: number): number {
  const pattern = /\S+/g;
  for (let i = 0; i < word; i++) pattern.exec(body);
  return pattern.exec(body)?.index ?? body.length;
}

/** The weekday left out, or a star in front of one; a number could be a month as well. */
function oneMissing(words: readonly string[]): Rewrite | undefined {
  const [minute = '', hour = '', third = '', last = ''] = words;
  if (last === '*' || last === '?') return { text: `${words.join(' ')} *` };
  return third === '*' && !/^\d+$/.test(last) ? { text: `${minute} ${hour} * * ${last}` } : undefined;
}

/** "0 9:30 * * *": the time of day in one field. */
function hourAndMinute(words: readonly string[]): Rewrite | undefined {
  const at = words.findIndex((word) => /^\d{1,2}:\d\d$/.test(word));
  if (at < 0 || at > 1) return undefined;
  const [hour = '', minute = ''] = (words[at] ?? '').split(':');
  const days = words.slice(at + 1);
  const text = [Number(minute), Number(hour), ...(days.length === 0 ? ['*', '*', '*'] : days)].join(' ');
  return { text, why: { message: 'minute and hour are two fields, the minute first', position: 0 } };
}

/** "0 25 * * *" for "25 0", "0 0 12 25 *" for 25 December. */
function swapped(words: readonly string[]): Rewrite | undefined {
  if (words.length !== 5) return undefined;
  const [minute = '', hour = '', day = '', month = '', weekday = ''] = words;
  const isNumber = (word: string): boolean => /^\d{1,2}$/.test(word);
  if (isNumber(minute) && isNumber(hour) && Number(hour) > 24)
    return { text: [hour, minute, day, month, weekday].join(' ') };
  if (isNumber(day) && isNumber(month) && Number(month) > 12)
    return { text: [minute, hour, month, day, weekday].join(' ') };
  return undefined;
}
