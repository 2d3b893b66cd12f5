// The forms that begin with "@". Each takes the words after its name and their offset in the whole text.
import { formatDuration, parseDuration } from '../../model/duration.ts';
import { nearest } from '../../model/nearest.ts';
import type { FieldNote, Refusal } from './field-value.ts';
import { parseInstant } from './instant.ts';
import type { Schedule } from './types.ts';

/** The cron text of each descriptor, seconds first. */
const DESCRIPTORS: Readonly<Record<string, string>> = {
  '@yearly': '0 0 0 1 1 *',
  '@annually': '0 0 0 1 1 *',
  '@monthly': '0 0 0 1 * *',
  '@weekly': '0 0 0 * * 0',
  '@daily': '0 0 0 * * *',
  '@midnight': '0 0 0 * * *',
  '@hourly': '0 0 * * * *',
  '@minutely': '0 * * * * *',
};
const WITH_ARGUMENTS = ['@every', '@at', '@after'];
const ALL_NAMES = [...Object.keys(DESCRIPTORS), ...WITH_ARGUMENTS, '@manually'];

/** Words people expect, and what they write here. */
const ALIASES: Readonly<Record<string, string>> = {
  '@minute': '@minutely',
  '@hour': '@hourly',
  '@day': '@daily',
  '@everyday': '@daily',
  '@night': '@midnight',
  '@nightly': '@midnight',
  '@week': '@weekly',
  '@month': '@monthly',
  '@year': '@yearly',
  '@noon': '0 12 * * *',
  '@weekday': '0 0 * * 1-5',
  '@weekdays': '0 0 * * 1-5',
  '@weekend': '0 0 * * 6,0',
  '@weekends': '0 0 * * 6,0',
  '@never': '@manually',
  '@none': '@manually',
};

/** Longer than the years a cron schedule is asked about; an interval beyond is a slip. */
const INTERVAL_MAX_MS = 100 * 366 * 86_400_000;

export type Form =
  | { readonly kind: 'schedule'; readonly schedule: Schedule; readonly notes?: FieldText[] }
  | { readonly kind: 'cron'; readonly text: string };
type FieldText = Omit<FieldNote, 'code'> & { readonly code: 'rounded' };

/** Reads "@name arguments" whose first character stands at `at`. `lenient` keeps what Dkron kept (a zero `@every` is one second). */
export function parseForm(text: string, at: number, lenient: boolean): Form | Refusal {
  const blank = text.search(/\s/);
  const name = blank < 0 ? text : text.slice(0, blank);
  const rest = blank < 0 ? '' : text.slice(blank);
  const words = rest.trim();
  const wordsAt = at + name.length + (rest.length - rest.trimStart().length);
  switch (name) {
    case '@every':
      return parseEvery(words, wordsAt, lenient);
    case '@at':
      return parseAt(words, wordsAt);
    case '@after':
      return parseAfter(words, wordsAt);
    default:
      return parseDescriptor(name, words, at, wordsAt);
  }
}

/** What is meant by a word that is almost a known "@" word, with and without the "@". */
export function nearestDescriptor(word: string): string | undefined {
  const name = word.startsWith('@') ? word : `@${word}`;
  return ALIASES[name.toLowerCase()] ?? nearest(name, ALL_NAMES);
}

function parseDescriptor(name: string, words: string, at: number, wordsAt: number): Form | Refusal {
  const cron = DESCRIPTORS[name];
  if (cron === undefined && name !== '@manually') return unknownDescriptor(name, at);
  if (words !== '') {
    const message = `nothing may follow ${name}; another time is written in cron fields, such as 30 4 * * * for 04:30`;
    return { code: 'syntax', message, position: wordsAt, suggestion: '', length: words.length };
  }
  return cron === undefined ? { kind: 'schedule', schedule: { kind: 'manual' } } : { kind: 'cron', text: cron };
}

function unknownDescriptor(name: string, at: number): Refusal {
  if (name === '@reboot') {
    const message =
      '@reboot has no meaning in a cluster: a job belongs to no single machine that could start; use a time, or @manually and a trigger';
    return { code: 'descriptor', message, position: at, suggestion: '@manually', length: name.length };
  }
  const near = nearestDescriptor(name);
  const message = `"${name.slice(0, 40)}" is not a known schedule; known are ${ALL_NAMES.join(', ')}`;
  return withSuggestion({ code: 'descriptor', message, position: at }, near, name.length);
}

function parseEvery(words: string, at: number, lenient: boolean): Form | Refusal {
  const refuse = (message: string, suggestion?: string): Refusal =>
    withSuggestion({ code: 'duration', message, position: at }, suggestion, words.length);
  if (words === '') return refuse('"@every" needs a duration: 30s, 5m, 1h30m or 2d');
  const ms = parseDuration(words);
  if (ms === undefined) {
    const fault = /^\d+$/.test(words) ? 'has no unit' : 'is not a duration';
    return refuse(`"${words.slice(0, 40)}" ${fault}; write for example 30s, 5m, 1h30m or 2d`, spelledOut(words));
  }
  if (ms <= 0 && !lenient) return refuse('an interval of zero or less has no next time; the shortest is 1s', '1s');
  if (ms > INTERVAL_MAX_MS) return refuse('an interval above 100 years is not supported');
  const intervalMs = Math.max(1000, Math.floor(ms / 1000) * 1000);
  const schedule: Schedule = { kind: 'every', intervalMs };
  if (intervalMs === ms) return { kind: 'schedule', schedule };
  // As Dkron: whole seconds, at least one.
  const message = `Intervals are whole seconds, at least one: this is every ${intervalMs / 1000} s.`;
  return { kind: 'schedule', schedule, notes: [{ code: 'rounded', message, position: at }] };
}

/** "5 minutes" → "5m", "1 hour and 30 min" → "1h30m", "1h30" → "1h30m", "PT5M" → "5m"; a number alone is minutes. */
export function spelledOut(words: string): string | undefined {
  const iso = parseIsoDuration(words);
  if (iso !== undefined && iso > 0) return formatDuration(iso);
  if (/^\d+$/.test(words)) return Number(words) > 0 ? `${words}m` : undefined;
  const short = words
    .slice(0, SPELLED_MAX)
    .toLowerCase()
    .replaceAll(/(second|sec|minute|min|hour|hr|day|week|wk)s?/g, (word) => word.charAt(0))
    .replaceAll(/\s+and\s+|\s+(?=[a-z])|(?<=[a-z])\s+/g, '')
    .replace(/^(?=[a-z]$)/, '1')
    .replace(/(?<=[hm]\d+)$/, (_end, at: number, text: string) => (text.slice(0, at).includes('m') ? 's' : 'm'));
  return (parseDuration(short) ?? 0) > 0 ? short : undefined;
}

const SPELLED_MAX = 100;

function parseAt(words: string, at: number): Form | Refusal {
  const instant = parseInstant(words);
  return typeof instant === 'number'
    ? { kind: 'schedule', schedule: { kind: 'at', at: instant } }
    : notAnInstant('@at', words, at);
}

/** 2027-1-5 → 2027-01-05. */
function dateOf(parts: readonly string[]): string {
  return parts
    .slice(0, 3)
    .map((part) => part.padStart(2, '0'))
    .join('-');
}

const RFC3339_SHAPE = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:\d\d)?$/;

function notAnInstant(form: string, words: string, position: number): Refusal {
  const code = 'instant';
  if (words === '') return { code, message: `${form} needs a time, such as ${form} 2026-11-22T17:00:00Z`, position };
  const shown = `"${words.slice(0, 40)}"`;
  const candidate = words
    .replace(/^(\d{4})-(\d\d?)-(\d\d?)(?=$|[ tT])/, (_date, ...parts: string[]) => dateOf(parts))
    .replace(/^\d{4}-\d\d-\d\d$/, '$&T00:00:00')
    .replace(/^(\d{4}-\d\d-\d\d)[ t](?=\d)/, '$1T')
    .replace(/(T\d\d:\d\d)(?=$|Z|z|[+-])/, '$1:00')
    .replace(/z$/, '');
  if ([candidate, `${candidate}Z`].every((text) => parseInstant(text) === undefined) && RFC3339_SHAPE.test(candidate))
    return { code, message: `${shown} is no RFC 3339 time: there is no such day, or no such time of day`, position };
  const complete = [candidate, `${candidate}Z`].find((text) => parseInstant(text) !== undefined);
  const message = `${shown} is not an RFC 3339 time with seconds and Z or an offset, such as 2026-11-22T17:00:00Z`;
  return withSuggestion({ code, message, position }, complete, words.length);
}

function withSuggestion(refusal: Refusal, suggestion: string | undefined, length: number): Refusal {
  return suggestion === undefined ? refusal : { ...refusal, suggestion, length };
}

const AFTER = /^(\S+)(\s+)(<\s*)?(\S+)$/;

/** Dkron writes the grace as `<` and an ISO 8601 duration; a Go duration is read too, with or without the `<`. */
function parseAfter(words: string, at: number): Form | Refusal {
  const match = AFTER.exec(words);
  if (match === null) {
    const message = '@after needs a time and a grace, such as @after 2026-12-31T23:59:00Z <PT2H';
    return { code: 'syntax', message, position: at };
  }
  const [, date = '', blank = '', sign = '', grace = ''] = match;
  const instant = parseInstant(date);
  if (instant === undefined) return notAnInstant('@after', date, at);
  const graceMs = parseIsoDuration(grace) ?? parseDuration(grace);
  const position = at + date.length + blank.length + sign.length;
  if (graceMs === undefined) {
    const message = `"${grace.slice(0, 40)}" is not a grace; write <PT2H, <P1D or 2h`;
    return withSuggestion({ code: 'duration', message, position }, spelledOut(grace), grace.length);
  }
  if (graceMs <= 0) return { code: 'duration', message: 'the grace of @after must be longer than zero', position };
  return { kind: 'schedule', schedule: { kind: 'after', at: instant, graceMs } };
}

const ISO_DURATION =
  /^P(?:(\d{1,6})Y)?(?:(\d{1,6})M)?(?:(\d{1,9})D)?(?:T(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,12})(\.\d{1,9})?S)?)?$/;

/** Dkron's dialect: a year is 365 days, a month 30, a day 24 h; no weeks; a fraction on seconds only. Milliseconds, or undefined. */
export function parseIsoDuration(text: string): number | undefined {
  const match = ISO_DURATION.exec(text);
  if (match === null) return undefined;
  const [years, months, days, hours, minutes, seconds] = match.slice(1, 7).map((part) => Number(part ?? 0)) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const whole = (years * 365 + months * 30 + days) * 86_400 + hours * 3600 + minutes * 60 + seconds;
  return whole * 1000 + Number(`0${match[7] ?? ''}`) * 1000;
}
