// Text → schedule. Refusals say where, why and what would be right; nothing here can loop, because the text is limited first.
import { JOB_LIMITS } from '../../model/job-schema.ts';
import type { ScheduleWarning } from '../../model/schedule.ts';
import { countBelow60, popcount } from './bits.ts';
import { isRefusal, type FieldSet, type Refusal } from './field-value.ts';
import { parseField } from './field.ts';
import { layoutOf, type FieldKind } from './fields.ts';
import { nearestDescriptor, parseForm, spelledOut } from './forms.ts';
import { impossible } from './impossible.ts';
import { packedDate } from './civil.ts';
import { withRepair } from './repair.ts';
import type { CronSchedule, DayMode, ParseOptions, ParseResult, Schedule, ScheduleError } from './types.ts';
import { resolveZone, suggestZone } from './zone.ts';

/** No schedule needs more; a longer one is a slip or an attack. */
export const TEXT_MAX = JOB_LIMITS.scheduleCharactersMax;

interface Parsed {
  readonly schedule: Schedule;
  readonly notes: readonly ScheduleWarning[];
}

const NO_NOTES: readonly ScheduleWarning[] = [];
/** Different texts remembered; then the memory starts afresh. Bounds it against endless different texts. */
const INTERNED_MAX = 20_000;
/** Schedules by the text behind the prefix, for texts that mean the same in every job. */
const byText = new Map<string, Parsed>();
/** Hashed schedules by what they came to. */
const byValue = new Map<string, CronSchedule>();

/**
 * Understands a schedule in any form of SEMANTICS §4, or says what is wrong with it.
 * `timezone` "" and "Local" are the default zone, as in Dkron; a TZ= or CRON_TZ= prefix wins over it.
 */
export function parseSchedule(text: string, options: ParseOptions): ParseResult {
  const read = (candidate: string): ParseResult => understand(candidate, options);
  const result = read(text);
  return result.ok ? result : { ok: false, error: withRepair(result.error, text, read) };
}

function understand(text: string, options: ParseOptions): ParseResult {
  if (text.length > TEXT_MAX) {
    return refuse({
      code: 'too_long',
      message: `a schedule has at most ${TEXT_MAX} characters; this has ${text.length}`,
      position: TEXT_MAX,
    });
  }
  const start = skipBlanks(text, 0);
  let zone: string | undefined;
  let at = start;
  if (text.startsWith('TZ=', start) || text.startsWith('CRON_TZ=', start)) {
    const prefix = readPrefix(text, start);
    if ('error' in prefix) return prefix;
    ({ zone, at } = prefix);
  } else if (options.timezone !== undefined && !isDefaultZone(options.timezone)) {
    zone = resolveZone(options.timezone);
    if (zone === undefined) return unknownZone(options.timezone, 'timezone', 0);
  }
  const body = text.slice(at).trimEnd();
  if (body === '')
    return refuse({
      code: 'empty',
      message: start === at ? 'a schedule is missing' : 'a schedule must follow the zone',
      position: at,
    });
  const parsed = parseBody(body, at, options);
  if (isRefusal(parsed)) return refuse(parsed, text);
  const hopeless = options.allowImpossible === true ? undefined : neverAgain(parsed.schedule, body, at, options);
  if (hopeless !== undefined) return refuse(hopeless, text);
  return { ok: true, schedule: parsed.schedule, zone, notes: shifted(parsed.notes, at) };
}

function isDefaultZone(name: string): boolean {
  return name === '' || name === 'Local';
}

function readPrefix(
  text: string,
  start: number,
): { zone: string | undefined; at: number } | (ParseResult & { ok: false }) {
  const nameAt = text.indexOf('=', start) + 1;
  let end = nameAt;
  while (end < text.length && !isBlank(text.charCodeAt(end))) end++;
  const name = text.slice(nameAt, end);
  const at = skipBlanks(text, end);
  if (name === '')
    return refuse({
      code: 'zone',
      message: 'a zone name must follow the "=", such as TZ=Europe/Madrid',
      position: nameAt,
    });
  if (name === 'Local') return { zone: undefined, at };
  const zone = resolveZone(name);
  return zone === undefined ? unknownZone(name, 'schedule', nameAt, text) : { zone, at };
}

function unknownZone(
  name: string,
  field: 'schedule' | 'timezone',
  position: number,
  text = name,
): ParseResult & { ok: false } {
  const near = suggestZone(name);
  const offset = /[+-]\d/.test(name) ? ', not an offset, which knows no clock changes' : '';
  const message = `"${name.slice(0, 64)}" is not a known time zone; write an IANA name such as Europe/Madrid or UTC${offset}`;
  const error: ScheduleError = { code: 'zone', message, field, position };
  if (near === undefined) return { ok: false, error };
  return {
    ok: false,
    error: { ...error, suggestion: text.slice(0, position) + near + text.slice(position + name.length) },
  };
}

/** The refusal as an error whose suggestion is the whole text, put right. */
function refuse(refusal: Refusal, text = ''): ParseResult & { ok: false } {
  const { code, message, position, suggestion, length = 0 } = refusal;
  const error: ScheduleError = { code, message, field: 'schedule', position };
  if (suggestion === undefined) return { ok: false, error };
  const corrected = text.slice(0, position) + suggestion + text.slice(position + length);
  return { ok: false, error: { ...error, suggestion: corrected.trimEnd() } };
}

/** Interned by text, with notes whose positions count from the body. */
function parseBody(body: string, at: number, options: ParseOptions): Parsed | Refusal {
  const known = byText.get(body);
  if (known !== undefined) return known;
  const parsed = body.charCodeAt(0) === 64 ? parseAtForm(body, at, options) : parseCron(body, at, options.name);
  if (isRefusal(parsed)) return parsed;
  // What leniency let through must not be there for others.
  const shareable = options.allowImpossible !== true && !(parsed.schedule.kind === 'cron' && parsed.schedule.hashed);
  if (shareable) remember(byText, body, parsed);
  return parsed;
}

function remember<V>(memory: Map<string, V>, key: string, value: V): void {
  if (memory.size >= INTERNED_MAX) memory.clear();
  memory.set(key, value);
}

function parseAtForm(body: string, at: number, options: ParseOptions): Parsed | Refusal {
  const form = parseForm(body, at, options.allowImpossible === true);
  if ('code' in form) return form;
  if (form.kind === 'cron') return parseCron(form.text, at, options.name);
  const notes = form.notes?.map((note) => ({ ...note, field: 'schedule', position: note.position - at }));
  return { schedule: form.schedule, notes: notes ?? NO_NOTES };
}

interface Word {
  readonly text: string;
  readonly at: number;
}

function wordsOf(body: string, at: number): Word[] {
  const words: Word[] = [];
  for (let start = skipBlanks(body, 0); start < body.length;) {
    let end = start;
    while (end < body.length && !isBlank(body.charCodeAt(end))) end++;
    words.push({ text: body.slice(start, end), at: at + start });
    start = skipBlanks(body, end);
  }
  return words;
}

function parseCron(body: string, at: number, name: string): Parsed | Refusal {
  const words = wordsOf(body, at);
  const layout = layoutOf(words.length);
  if (layout === undefined) return wrongCount(words, body, at);
  const sets: FieldSet[] = [];
  let notes: ScheduleWarning[] | undefined;
  for (const [i, kind] of layout.entries()) {
    const word = words[i] as Word;
    const set = parseField(kind, word.text, word.at, name);
    if (isRefusal(set)) return set;
    sets.push(set);
    for (const note of set.notes ?? [])
      (notes ??= []).push({ ...note, field: kind.name, position: note.position - at });
  }
  return { schedule: shared(assemble(layout, sets)), notes: notes ?? NO_NOTES };
}

function wrongCount(words: readonly Word[], body: string, at: number): Refusal {
  const first = words[0]?.text ?? '';
  const position = words[7]?.at ?? at + body.length;
  if (/^every$/i.test(first)) {
    const message = 'intervals are written "@every" and a duration: 30s, 5m, 1h30m or 2d';
    const rest = body.slice(first.length).trim();
    const form = nearestDescriptor(rest) ?? `@every ${spelledOut(rest) ?? rest}`;
    return { code: 'field_count', message, position: at, suggestion: form, length: body.length };
  }
  const near = /^[a-z]/i.test(first) && words.length === 1 ? nearestDescriptor(first) : undefined;
  if (near !== undefined)
    return {
      code: 'descriptor',
      message: `"${first.slice(0, 40)}" is not a schedule; names begin with "@"`,
      position: at,
      suggestion: near,
      length: first.length,
    };
  const message = `a cron expression has 5 fields (minute hour day month weekday), 6 (seconds first) or 7 (year last); this has ${words.length}`;
  return { code: 'field_count', message, position };
}

const SECOND_ZERO: FieldSet = {
  low: 1,
  high: 0,
  years: [],
  rules: undefined,
  unrestricted: false,
  startsWithStar: false,
  both: false,
  hashed: false,
  notes: undefined,
};

function assemble(layout: readonly FieldKind[], sets: readonly FieldSet[]): CronSchedule {
  const first = layout.length === 5 ? 0 : 1;
  const second = first === 0 ? SECOND_ZERO : (sets[0] as FieldSet);
  const [minute, hour, day, month, week] = sets.slice(first, first + 5) as [
    FieldSet,
    FieldSet,
    FieldSet,
    FieldSet,
    FieldSet,
  ];
  const year = sets[6];
  const perMinute = countBelow60(second.low, second.high, 60);
  return {
    kind: 'cron',
    secondsLow: second.low,
    secondsHigh: second.high,
    minutesLow: minute.low,
    minutesHigh: minute.high,
    hours: hour.low,
    days: (day.low >>> 1) | (day.high << 29),
    months: month.low >>> 1,
    weekdays: week.low,
    dayMode: dayModeOf(day, week),
    // Copies have no spare room; a million of these may live.
    monthRules: day.rules?.slice(),
    weekRules: week.rules?.slice(),
    years: year === undefined || year.unrestricted ? undefined : year.years.toSorted((a, b) => a - b),
    elapsed: minute.startsWithStar || hour.startsWithStar,
    hashed: sets.some((set) => set.hashed),
    perDay: popcount(hour.low) * countBelow60(minute.low, minute.high, 60) * perMinute,
  };
}

function dayModeOf(day: FieldSet, week: FieldSet): DayMode {
  if (day.unrestricted) return week.unrestricted ? 'all' : 'week';
  if (week.unrestricted) return 'month';
  return week.both ? 'and' : 'or';
}

/** Hashed schedules differ per job, yet H H * * * has only 1,440 values: jobs that came to the same one share it. */
function shared(cron: CronSchedule): CronSchedule {
  if (!cron.hashed || cron.monthRules !== undefined || cron.weekRules !== undefined || cron.years !== undefined)
    return cron;
  const { secondsLow, secondsHigh, minutesLow, minutesHigh, hours, days, months, weekdays, dayMode, elapsed } = cron;
  const key = `${secondsLow},${secondsHigh},${minutesLow},${minutesHigh},${hours},${days},${months},${weekdays},${dayMode},${elapsed}`;
  const known = byValue.get(key);
  if (known !== undefined) return known;
  remember(byValue, key, cron);
  return cron;
}

function neverAgain(schedule: Schedule, body: string, at: number, options: ParseOptions): Refusal | undefined {
  const { nowMs } = options;
  switch (schedule.kind) {
    case 'cron':
      return impossible(
        schedule,
        () => wordsOf(body, at),
        nowMs === undefined ? undefined : packedDate(Math.floor(nowMs / 86_400_000)) >> 9,
        at,
      );
    case 'at':
    case 'after': {
      const end = schedule.at + (schedule.kind === 'after' ? schedule.graceMs : 0);
      if (nowMs === undefined || options.runIfPast === true || end >= nowMs) return undefined;
      const message =
        schedule.kind === 'at'
          ? 'this time is in the past, so the job would never run; with run_if_past a job takes it and runs at once'
          : 'this time and its grace are in the past, so the job would never run';
      return { code: 'past', message, position: at + body.search(/\s\S/) + 1 };
    }
    case 'every':
    case 'manual':
      return undefined;
  }
}

function shifted(notes: readonly ScheduleWarning[], at: number): readonly ScheduleWarning[] {
  if (at === 0 || notes.length === 0) return notes;
  return notes.map((note) => (note.position === undefined ? note : { ...note, position: note.position + at }));
}

function isBlank(code: number): boolean {
  return code === 32 || (code >= 9 && code <= 13);
}

function skipBlanks(text: string, from: number): number {
  let at = from;
  while (at < text.length && isBlank(text.charCodeAt(at))) at++;
  return at;
}
