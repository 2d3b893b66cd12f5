// One field of a cron expression: text → set of values. Grammar: item {"," item}.
//   item  = base ["/" step]
//   base  = "*" | "?" | value | value "-" value | H | "~" | H(a-b)
//         | day of month: L, L-n, LW, L-nW, nW       | day of week: vL, v#n, v#L, and "+" before the whole field
// Each item adds at most the field's whole range, and the text is limited, so the work is.
import {
  parseValue,
  refuse,
  shown,
  wholeNumber,
  type FieldNote,
  type FieldSet,
  type Refusal,
  type Source,
} from './field-value.ts';
import type { FieldKind } from './fields.ts';
import { hashText } from './hash.ts';
import { parseSpecialDay } from './special-days.ts';

const PLUS = 43;
const STAR = 42;
const QUESTION = 63;

/** Reads one field. `name` is the job's, for H and ~; `offset` is where `text` begins in the schedule. */
export function parseField(kind: FieldKind, text: string, offset: number, name: string): FieldSet | Refusal {
  const both = text.charCodeAt(0) === PLUS;
  if (both && kind.name !== 'dayOfWeek')
    return refuse(offset, `"+" may only begin the day of week field, not the ${kind.label}`);
  const begin = both ? 1 : 0;
  if (both && text.length === 1) return refuse(offset + 1, 'a weekday must follow the "+"');
  const firstCode = text.charCodeAt(begin);
  const startsWithStar = firstCode === STAR || firstCode === QUESTION;
  const set: FieldSet = {
    low: 0,
    high: 0,
    years: [],
    rules: undefined,
    unrestricted: false,
    startsWithStar,
    both,
    hashed: false,
    notes: undefined,
  };
  const source: Source = { kind, name, offset, set };
  const refusal = text.includes(',')
    ? parseList(source, text, begin)
    : parseItem(source, text.slice(begin), offset + begin);
  return refusal ?? set;
}

function parseList(source: Source, text: string, begin: number): Refusal | undefined {
  let items = 0;
  for (let start = begin; start <= text.length;) {
    const comma = text.indexOf(',', start);
    const end = comma < 0 ? text.length : comma;
    if (end > start) {
      const refusal = parseItem(source, text.slice(start, end), source.offset + start);
      if (refusal !== undefined) return refusal;
      items++;
    } else {
      // Dkron skips empty items, so jobs that have them must keep working.
      note(
        source,
        'empty_item',
        source.offset + start,
        `The ${source.kind.label} list has an empty item, which means nothing. A blank ends a field, also behind a comma.`,
      );
    }
    start = end + 1;
  }
  return items === 0 ? refuse(source.offset, `the ${source.kind.label} list is empty`) : undefined;
}

function parseItem(source: Source, item: string, at: number): Refusal | undefined {
  const slash = item.indexOf('/');
  const base = slash < 0 ? item : item.slice(0, slash);
  let step = 0;
  if (slash >= 0) {
    const parsed = parseStep(source, item.slice(slash + 1), at + slash + 1);
    if (typeof parsed !== 'number') return parsed;
    step = parsed;
  }
  if (base === '') return refuse(at, `a value must come before the "/" in the ${source.kind.label} field`, '*', 0);
  const first = base.charCodeAt(0);
  if (base.length === 1 && (first === STAR || first === QUESTION)) return addAll(source, step, at);
  if (first === 126 || first === 72 || first === 104) return parseHash(source, base, step, at);
  const special = addSpecial(source, base, step, at);
  return special === undefined ? parseRange(source, base, step, at) : special || undefined;
}

function parseStep(source: Source, text: string, at: number): number | Refusal {
  const step = wholeNumber(text);
  if (step === undefined)
    return refuse(
      at,
      `the step after "/" in the ${source.kind.label} field must be a whole number${text === '' ? '' : `, not "${shown(text)}"`}`,
    );
  if (step === 0)
    return refuse(at, `a step of 0 in the ${source.kind.label} field never moves on; use 1 or more`, '1', text.length);
  return step;
}

function addAll(source: Source, step: number, at: number): undefined {
  const { kind, set } = source;
  const max = kind.name === 'dayOfWeek' ? 6 : kind.max;
  if (step <= 1) {
    set.unrestricted = true;
    if (kind.name === 'year') return; // every year needs no list
  } else noteStep(source, kind.min, max, step, at);
  addSteps(source, kind.min, max, Math.max(1, step));
}

/** H, ~, H(a-b), each with an optional step: the job's name chooses the value, or the phase of the steps. */
function parseHash(source: Source, base: string, step: number, at: number): Refusal | undefined {
  const { kind, set } = source;
  if (kind.hash === undefined) return refuse(at, `"${base[0]}" cannot choose a ${kind.label}; write it out`);
  let [from, to] = kind.hash;
  if (base.length > 1) {
    const range = parseHashRange(source, base, at);
    if ('code' in range) return range;
    [from, to] = range;
  }
  const size = to - from + 1;
  const hash = hashText(source.name, kind.salt);
  set.hashed = true;
  if (step === 0) return addValue(set, kind, from + (hash % size));
  noteStep(source, from, to, step, at);
  return addSteps(source, from + (hash % Math.min(step, size)), to, step);
}

function parseHashRange(source: Source, base: string, at: number): [number, number] | Refusal {
  if (base[1] !== '(')
    return refuse(
      at,
      `"${shown(base)}" is not understood in the ${source.kind.label} field; write "${base[0]}" or "${base[0]}(a-b)"`,
    );
  if (!base.endsWith(')')) {
    const message = `the "(" after "${base[0]}" is never closed`;
    // Closing it puts it right only where a range stands behind it.
    return /^.\([^-]+-[^-]+$/.test(base)
      ? refuse(at + base.length, message, ')', 0)
      : refuse(at + base.length, message);
  }
  const dash = base.indexOf('-', 2);
  if (dash < 0) return refuse(at + 2, `"${base[0]}(…)" needs a range such as "${base[0]}(0-5)"`);
  const from = parseValue(source, base.slice(2, dash), at + 2);
  if (typeof from !== 'number') return from;
  const to = parseValue(source, base.slice(dash + 1, -1), at + dash + 1);
  if (typeof to !== 'number') return to;
  return from <= to
    ? [from, to]
    : refuse(at + 2, `the range ${from}-${to} after "${base[0]}" must rise`, `${to}-${from}`, base.length - 3);
}

/** L, W and #: undefined when the item is none of them, false when it was one and is now in the set's rules. */
function addSpecial(source: Source, base: string, step: number, at: number): Refusal | undefined | false {
  const rule = parseSpecialDay(source, base, at);
  if (rule === undefined) return undefined;
  if ('code' in rule) return rule;
  if (step !== 0) return refuse(at + base.length, `"${shown(base)}" is one day, so a step after it has no meaning`);
  (source.set.rules ??= []).push(rule);
  return false;
}

function parseRange(source: Source, base: string, step: number, at: number): Refusal | undefined {
  const { kind, set } = source;
  const dash = base.indexOf('-');
  const from = parseValue(source, dash < 0 ? base : base.slice(0, dash), at);
  if (typeof from !== 'number') return dash < 0 && step === 0 ? nearLimit(kind, base, from) : from;
  if (dash < 0) {
    if (step === 0) return addValue(set, kind, from);
    // As robfig/cron: "a/n" runs from a to the end of the field.
    const start = kind.name === 'dayOfWeek' ? from % 7 : from;
    const end = kind.name === 'dayOfWeek' ? 6 : kind.max;
    noteStep(source, start, end, step, at);
    return addSteps(source, start, end, step);
  }
  const to = parseValue(source, base.slice(dash + 1), at + dash + 1);
  if (typeof to !== 'number') return from === kind.min ? upToLimit(kind, base.slice(dash + 1), to) : to;
  return addRange(source, from, to, Math.max(1, step), at, base);
}

/** Minute 60 and hour 24 are the 0 of what follows; days and months begin at 1. */
function nearLimit(kind: FieldKind, text: string, refusal: Refusal): Refusal {
  const value = wholeNumber(text);
  const isNext = value === kind.max + 1 && kind.min === 0 && kind.name !== 'dayOfWeek';
  const isBefore = value === 0 && kind.min === 1;
  return isNext || isBefore ? { ...refusal, suggestion: `${kind.min}`, length: text.length } : refusal;
}

/** 0-60, 0-24, 1-32: the whole field. */
function upToLimit(kind: FieldKind, text: string, refusal: Refusal): Refusal {
  return wholeNumber(text) === kind.max + 1 ? { ...refusal, suggestion: `${kind.max}`, length: text.length } : refusal;
}

/** A range that falls wraps around: 22-2, fri-mon. 7 ends a week as Sunday and begins one as 0. */
function addRange(
  source: Source,
  from: number,
  to: number,
  step: number,
  at: number,
  base: string,
): Refusal | undefined {
  const { kind } = source;
  const start = kind.name === 'dayOfWeek' && from === 7 && to !== 7 ? 0 : from;
  if (step > 1) noteStep(source, start, to < start ? to + spanOf(kind) : to, step, at);
  if (start <= to) return addSteps(source, start, to, step);
  if (kind.name === 'year') return refuse(at, `the years ${base} run backwards`, `${to}-${from}`, base.length);
  if (kind.names.length === 0) {
    const message = `The ${kind.label} range ${from}-${to} goes on past ${kind.max}: ${from} to ${kind.max}, then ${kind.min} to ${to}.`;
    note(source, 'wrapped_range', at, message);
  }
  return addSteps(source, start, to + spanOf(kind), step);
}

/** How many different values the field has. */
function spanOf(kind: FieldKind): number {
  return kind.name === 'dayOfWeek' ? 7 : kind.max - kind.min + 1;
}

function addSteps({ kind, set }: Source, from: number, to: number, step: number): undefined {
  const span = spanOf(kind);
  for (let value = from; value <= to; value += step) addValue(set, kind, value > kind.max ? value - span : value);
}

function addValue(set: FieldSet, kind: FieldKind, value: number): undefined {
  if (kind.name === 'year') {
    if (!set.years.includes(value)) set.years.push(value);
    return;
  }
  const bit = kind.name === 'dayOfWeek' ? value % 7 : value;
  if (bit < 30) set.low |= 1 << bit;
  else set.high |= 1 << (bit - 30);
}

function noteStep(source: Source, from: number, to: number, step: number, at: number): void {
  const { kind } = source;
  const size = to - from + 1;
  if (step >= size && size > 1) {
    note(
      source,
      'large_step',
      at,
      `A step of ${step} leads past the end of the ${kind.label} field, so only its first value remains.${intervalHint(kind, step)}`,
    );
  } else if (size === spanOf(kind) && size % step !== 0 && kind.max === 59) {
    const units = `${kind.label}s`;
    note(
      source,
      'uneven_step',
      at,
      `60 ${units} are not a multiple of ${step}: the last gap before each ${kind.name === 'second' ? 'minute' : 'hour'} is ${60 % step} ${units}. For an even rhythm use @every.`,
    );
  }
}

function intervalHint(kind: FieldKind, step: number): string {
  const unit = { second: 's', minute: 'm', hour: 'h' }[kind.name as string];
  return unit === undefined ? '' : ` For every ${step} ${kind.label}s write @every ${step}${unit}.`;
}

function note(source: Source, code: FieldNote['code'], position: number, message: string): void {
  (source.set.notes ??= []).push({ code, message, position });
}
