// The pieces of a cron field's parser: single values, and refusals that know their place.
import { nearest } from '../../model/nearest.ts';
import { fieldOfName, namedValue, type FieldKind } from './fields.ts';
import { MONTH_NAMES, WEEKDAY_NAMES } from './names.ts';
import type { DayRule, ScheduleErrorCode } from './types.ts';

/** What went wrong at which offset of the whole text. */
export interface Refusal {
  readonly code: ScheduleErrorCode;
  readonly message: string;
  readonly position: number;
  /** What would be right in place of the `length` characters at `position`. */
  readonly suggestion?: string;
  readonly length?: number;
}

export interface FieldNote {
  readonly code: 'empty_item' | 'large_step' | 'uneven_step' | 'wrapped_range';
  readonly message: string;
  readonly position: number;
}

export interface FieldSet {
  /** Values 0-29 and 30-59, one bit each. */
  low: number;
  high: number;
  /** The year field's values. */
  readonly years: number[];
  rules: DayRule[] | undefined;
  /** Some item is `*` or `?` without a step above 1. */
  unrestricted: boolean;
  readonly startsWithStar: boolean;
  /** Day of week only: the `+` prefix. */
  readonly both: boolean;
  hashed: boolean;
  notes: FieldNote[] | undefined;
}

/** Where the parser is: the word's text, and the offset of its first character in the whole schedule. */
export interface Source {
  readonly kind: FieldKind;
  readonly name: string;
  readonly offset: number;
  readonly set: FieldSet;
}

/** A value of the field, as a number or a name. */
export function parseValue(source: Source, text: string, at: number): number | Refusal {
  const { kind } = source;
  const value = wholeNumber(text);
  if (value === undefined) return namedValue(kind, text) ?? notAValue(kind, text, at);
  if (value >= kind.min && value <= kind.max) return value;
  return refuse(at, `${kind.label} ${shown(text)} is out of range: ${rangeText(kind)}`, undefined, 0, 'range');
}

/** "hour", with its article. */
export function one(kind: FieldKind): string {
  return kind.name === 'hour' ? 'an hour' : `a ${kind.label}`;
}

function rangeText(kind: FieldKind): string {
  return kind.name === 'dayOfWeek' ? '0-7 (0 and 7 are Sunday)' : `${kind.min}-${kind.max}`;
}

function notAValue(kind: FieldKind, text: string, at: number): Refusal {
  if (text === '') return refuse(at, `${one(kind)} is missing here: expected ${rangeText(kind)}`);
  if (text === '*') return refuse(at, `"*" cannot be an end of a range; write ${kind.min}-${kind.max} for all`);
  const word = shown(text);
  const near = abbreviated(kind, text) ?? nearest(text, kind.names);
  if (near !== undefined && /^[a-z]+$/i.test(text))
    return refuse(
      at,
      `"${word}" is not ${one(kind)}: expected ${rangeText(kind)}${namesText(kind)}`,
      near,
      text.length,
    );
  const other = /^[a-z]+$/i.test(text) ? fieldOfName(text) : undefined;
  if (other !== undefined && other !== kind.label)
    return refuse(at, `"${word}" belongs in the ${other} field, and this is the ${kind.label} field`);
  if (/^[lLwW#\d-]+$/.test(text) && /[lLwW#]/.test(text)) {
    return refuse(
      at,
      `"${word}" has no meaning in the ${kind.label} field: expected ${rangeText(kind)}${namesText(kind)}`,
    );
  }
  return refuse(at, `"${word}" is not ${one(kind)}: expected ${rangeText(kind)}${namesText(kind)}`);
}

/** "monday", "tues", "janaury" as the field knows them. */
function abbreviated(kind: FieldKind, text: string): string | undefined {
  const value = namedValue(kind, text.slice(0, 3));
  const full = value === undefined ? undefined : kind.name === 'month' ? MONTH_NAMES[value - 1] : WEEKDAY_NAMES[value];
  if (full === undefined) return undefined;
  const isMeant = full.toLowerCase().startsWith(text.toLowerCase()) || nearest(text, [full]) !== undefined;
  return isMeant ? text.slice(0, 3).toLowerCase() : undefined;
}

function namesText({ names }: FieldKind): string {
  return names.length > 0 ? ` or ${names[0]}-${names.at(-1)}` : '';
}

/** Up to six digits and nothing else; undefined otherwise. */
export function wholeNumber(text: string): number | undefined {
  if (text.length === 0 || text.length > 6) return undefined;
  let value = 0;
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) return undefined;
    value = value * 10 + digit;
  }
  return value;
}

export function isRefusal(value: object): value is Refusal {
  return 'code' in value;
}

export function refuse(
  position: number,
  message: string,
  suggestion?: string,
  length = 0,
  code: ScheduleErrorCode = 'syntax',
): Refusal {
  return suggestion === undefined ? { code, message, position } : { code, message, position, suggestion, length };
}

/** Words from outside, short enough for one line. */
export function shown(text: string): string {
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}
