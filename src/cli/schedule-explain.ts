// `belfry schedule explain`: a schedule in words with its next times, offline, by the scheduler's own code (handed in).
import type { PreviewRequest, PreviewResponse } from '../model/schedule.ts';
import { EXIT, sayProblems, type Terminal } from './terminal.ts';

/** Throws nothing: what is wrong with the schedule is in the answer. */
export type Preview = (request: PreviewRequest, defaultZone: string) => PreviewResponse;

/** Options as the command line has them. */
export interface ExplainOptions {
  readonly tz?: string;
  readonly count: string;
  readonly name?: string;
}

/** `words`: the schedule as one word, or as the shell left it without quotes. */
export function explainSchedule(
  words: readonly string[],
  options: ExplainOptions,
  preview: Preview,
  terminal: Terminal,
): number {
  const text = words.join(' ');
  const count = /^\d{1,4}$/.test(options.count) ? Number(options.count) : 0;
  if (count < 1 || count > 1000) {
    sayProblems(terminal, [{ message: '--count: must be a whole number, 1 to 1000', remedy: 'For example -n 10.' }]);
    return EXIT.usage;
  }
  const answer = preview(requestOf(text, count, options), Intl.DateTimeFormat().resolvedOptions().timeZone);
  if (answer.error !== undefined) {
    if (words.length > 1)
      terminal.talk('belfry: the schedule came as several words: put it in quotes, or the shell replaces its *');
    return sayRefusal(text, answer.error, terminal);
  }
  terminal.data(answer.description);
  for (const { local, due, mark } of answer.times) {
    terminal.data(
      `  ${local}${due === undefined ? '' : `  starts ${due}`}${mark === undefined ? '' : `  (${MARKS[mark]})`}`,
    );
  }
  if (answer.times.length === 0) terminal.data('  It never runs by itself from now on.');
  for (const { field, message } of answer.warnings)
    terminal.talk(`note: ${field === 'name' ? '--name: ' : ''}${message}`);
  return EXIT.ok;
}

function requestOf(schedule: string, count: number, { tz, name }: ExplainOptions): PreviewRequest {
  return { schedule, count, ...(tz === undefined ? {} : { timezone: tz }), ...(name === undefined ? {} : { name }) };
}

function sayRefusal(text: string, error: NonNullable<PreviewResponse['error']>, terminal: Terminal): number {
  const { message, field, position, suggestion } = error;
  terminal.talk(`belfry: ${field === 'timezone' ? '--tz: ' : ''}${message}`);
  if (field === 'schedule' && text.trim() !== '') terminal.talk(pointAt(text, position));
  terminal.talk(
    suggestion === undefined
      ? '  See "belfry schedule explain --help" for the forms.'
      : `  Did you mean "${suggestion}"?`,
  );
  return EXIT.failure;
}

const MARKS = {
  gap: 'the clocks skip its time that day',
  first: 'the first of two such times',
  second: 'the second of two such times',
} as const;

/** Lines longer than this only scroll; then the place is told by the text around it. */
const SHOWN_MAX = 100;

function pointAt(text: string, position: number): string {
  const from = Math.max(0, position - SHOWN_MAX / 2);
  const shown = text.slice(from, from + SHOWN_MAX).replaceAll(/[\s\p{C}]/gu, ' ');
  return `  ${shown}\n  ${' '.repeat(position - from)}^`;
}
