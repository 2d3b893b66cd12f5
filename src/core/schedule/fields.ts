// The seven fields of a cron expression: ranges, names, and how messages call them.

export type FieldName = 'second' | 'minute' | 'hour' | 'dayOfMonth' | 'month' | 'dayOfWeek' | 'year';

export interface FieldKind {
  readonly name: FieldName;
  readonly label: string;
  readonly min: number;
  readonly max: number;
  /** The range H and ~ choose from: days stop at 28, so that every month has the chosen one. Undefined: no hashing. */
  readonly hash: readonly [number, number] | undefined;
  /** Salt of the hash; the same in every form, so that adding a seconds field moves nothing. */
  readonly salt: number;
  readonly names: readonly string[];
}

const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const WEEKDAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];

const SECOND: FieldKind = { name: 'second', label: 'second', min: 0, max: 59, hash: [0, 59], salt: 0, names: [] };
const MINUTE: FieldKind = { name: 'minute', label: 'minute', min: 0, max: 59, hash: [0, 59], salt: 1, names: [] };
const HOUR: FieldKind = { name: 'hour', label: 'hour', min: 0, max: 23, hash: [0, 23], salt: 2, names: [] };
const DAY_OF_MONTH: FieldKind = {
  name: 'dayOfMonth',
  label: 'day of month',
  min: 1,
  max: 31,
  hash: [1, 28],
  salt: 3,
  names: [],
};
const MONTH: FieldKind = { name: 'month', label: 'month', min: 1, max: 12, hash: [1, 12], salt: 4, names: MONTHS };
const DAY_OF_WEEK: FieldKind = {
  name: 'dayOfWeek',
  label: 'day of week',
  min: 0,
  max: 7,
  hash: [0, 6],
  salt: 5,
  names: WEEKDAYS,
};
const YEAR: FieldKind = { name: 'year', label: 'year', min: 1970, max: 2199, hash: undefined, salt: 6, names: [] };

const SIX = [SECOND, MINUTE, HOUR, DAY_OF_MONTH, MONTH, DAY_OF_WEEK];
const LAYOUTS: Readonly<Record<number, readonly FieldKind[]>> = { 5: SIX.slice(1), 6: SIX, 7: [...SIX, YEAR] };

/** The fields of a text with this many words, in order; undefined when no form has so many. */
export function layoutOf(words: number): readonly FieldKind[] | undefined {
  return LAYOUTS[words];
}

/** The value of a name in this field ("jan" is 1, "sun" is 0), or undefined. */
export function namedValue(kind: FieldKind, word: string): number | undefined {
  const index = kind.names.indexOf(word.toLowerCase());
  return index < 0 ? undefined : index + (kind.name === 'month' ? 1 : 0);
}

/** Which other field a name belongs to, for messages. */
export function fieldOfName(word: string): 'month' | 'day of week' | undefined {
  const name = word.slice(0, 3).toLowerCase();
  if (MONTHS.includes(name)) return 'month';
  return WEEKDAYS.includes(name) ? 'day of week' : undefined;
}
