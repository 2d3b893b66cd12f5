// The days no number names: L, L-n, LW, nW in the day of month; vL, v#n, v#L in the day of week.
import { parseValue, refuse, shown, wholeNumber, type Refusal, type Source } from './field-value.ts';
import type { DayRule } from './types.ts';

/** The rule an item of a day field stands for, or undefined when it is an ordinary value or range. */
export function parseSpecialDay(source: Source, base: string, at: number): DayRule | Refusal | undefined {
  switch (source.kind.name) {
    case 'dayOfMonth':
      return monthRule(source, base, at);
    case 'dayOfWeek':
      return weekRule(source, base, at);
    default:
      return undefined;
  }
}

const LAST_DAY = /^[lL](?:-(\d+))?([wW])?$/;
const NEAREST_DAY = /^(\d+)[wW]$/;

function monthRule(source: Source, base: string, at: number): DayRule | Refusal | undefined {
  const code = base.charCodeAt(0) | 32;
  if (code !== 108 && (base.charCodeAt(base.length - 1) | 32) !== 119) return undefined;
  const last = LAST_DAY.exec(base);
  if (last !== null) {
    const offset = Number(last[1] ?? 0);
    if (offset > 30) return refuse(at + 2, `no month has a day ${offset} days before its last; L-n goes up to L-30`);
    return { kind: 'fromEnd', offset, nearest: last[2] !== undefined };
  }
  const near = NEAREST_DAY.exec(base);
  if (near === null) return refuse(at, `"${shown(base)}" is not a day of month; write 15W, L, L-3 or LW`);
  const day = parseValue(source, near[1] ?? '', at);
  return typeof day === 'number' ? { kind: 'nearest', day } : day;
}

function weekRule(source: Source, base: string, at: number): DayRule | Refusal | undefined {
  const hash = base.indexOf('#');
  if (hash >= 0) return nthRule(source, base, hash, at);
  if ((base.charCodeAt(base.length - 1) | 32) !== 108) return undefined;
  if (base.length === 1)
    return refuse(at, '"L" in the day of week field needs a weekday: 5L is the last Friday of the month', '5L', 1);
  const weekday = parseValue(source, base.slice(0, -1), at);
  return typeof weekday === 'number' ? { kind: 'last', weekday: weekday % 7 } : weekday;
}

function nthRule(source: Source, base: string, hash: number, at: number): DayRule | Refusal {
  const weekday = parseValue(source, base.slice(0, hash), at);
  if (typeof weekday !== 'number') return weekday;
  const which = base.slice(hash + 1);
  if (which === 'L' || which === 'l') return { kind: 'last', weekday: weekday % 7 };
  const nth = wholeNumber(which);
  if (nth !== undefined && nth >= 1 && nth <= 5) return { kind: 'nth', weekday: weekday % 7, nth };
  return refuse(
    at + hash + 1,
    `after "#" stands which one of the month, 1 to 5 or L for the last, not "${shown(which)}"`,
  );
}
