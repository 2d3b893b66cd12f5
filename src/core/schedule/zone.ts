// Time zones as tables: each zone's offsets between its clock changes, read once from Temporal and then only searched.
import { nearest } from '../../model/nearest.ts';
import { YEAR_MAX, YEAR_MIN, dayNumber, DAY_S } from './civil.ts';

const FIRST_S = dayNumber(YEAR_MIN, 1, 1) * DAY_S;
const END_S = dayNumber(YEAR_MAX + 1, 1, 2) * DAY_S;
/** Most questions are about the near future; the table grows when one is not. */
const INITIAL_END_S = dayNumber(2045, 1, 1) * DAY_S;

/** Offsets of one zone. Segment i is [starts[i], starts[i + 1]) in epoch seconds with offsets[i] seconds east of UTC. */
export class Zone {
  readonly id: string;
  /** The first start is −∞ and the last entry, one past the segments, is +∞. */
  starts: number[] = [];
  offsets: number[] = [];
  #coveredTo = FIRST_S;
  /** Successive questions are mostly about the same half year. */
  #recent = 0;

  constructor(id: string) {
    this.id = id;
    this.starts = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
    this.offsets = [offsetAt(id, FIRST_S)];
    this.#cover(INITIAL_END_S);
  }

  /** The index of the segment that holds an instant (epoch seconds). Its end is final: more table is read when it was not. */
  segmentAt(seconds: number): number {
    const { starts } = this;
    const recent = this.#recent;
    if ((starts[recent] as number) <= seconds && seconds < (starts[recent + 1] as number)) return recent;
    let low = 0;
    let high = starts.length - 2;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((starts[middle] as number) <= seconds) low = middle;
      else high = middle - 1;
    }
    if (this.#settle(low)) return this.segmentAt(seconds);
    this.#recent = low;
    return low;
  }

  /** The segment after `i`, or -1 when `i` is the last. */
  segmentAfter(i: number): number {
    const following = i + 1;
    if (following >= this.offsets.length) return -1;
    this.#settle(following);
    return following;
  }

  offsetOf(seconds: number): number {
    return this.offsets[this.segmentAt(seconds)] as number;
  }

  /** Reads the rest of the table when segment `i` is the last one known so far; says whether it did. */
  #settle(i: number): boolean {
    if (i < this.offsets.length - 1 || this.#coveredTo === END_S) return false;
    this.#cover(END_S);
    return true;
  }

  #cover(end: number): void {
    this.starts.pop();
    let at = instantOf(this.#coveredTo).toZonedDateTimeISO(this.id).getTimeZoneTransition('next');
    while (at !== null && at.epochMilliseconds < end * 1000) {
      const offset = Math.round(at.offsetNanoseconds / 1e9);
      // A change of name or of the daylight flag alone is no clock change.
      if (offset !== this.offsets.at(-1)) {
        this.starts.push(Math.round(at.epochMilliseconds / 1000));
        this.offsets.push(offset);
      }
      at = at.getTimeZoneTransition('next');
    }
    this.starts.push(Number.POSITIVE_INFINITY);
    // getTimeZoneTransition looks strictly after: one second back, so that a change exactly at the seam is not lost.
    this.#coveredTo = end === END_S ? END_S : end - 1;
  }
}

function instantOf(seconds: number): Temporal.Instant {
  return Temporal.Instant.fromEpochMilliseconds(seconds * 1000);
}

function offsetAt(id: string, seconds: number): number {
  return Math.round(instantOf(seconds).toZonedDateTimeISO(id).offsetNanoseconds / 1e9);
}

const zones = new Map<string, Zone>();

/** The table of a known zone. Throws RangeError for a name `resolveZone` does not know: callers resolve first. */
export function zoneOf(name: string): Zone {
  let zone = zones.get(name);
  if (zone === undefined) {
    zone = new Zone(name);
    zones.set(name, zone);
  }
  return zone;
}

const resolved = new Map<string, string>();
const NAME = /^[A-Za-z][A-Za-z0-9_+\-/]{0,63}$/;

/** The zone's name in its proper letter case, or undefined if there is none. Offsets such as +02:00 are no zones: they know no clock changes. */
export function resolveZone(name: string): string | undefined {
  const known = resolved.get(name);
  if (known !== undefined) return known;
  if (!NAME.test(name)) return undefined;
  try {
    const id = instantOf(0).toZonedDateTimeISO(name).timeZoneId;
    resolved.set(name, id);
    return id;
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

export function isKnownZone(name: string): boolean {
  return resolveZone(name) !== undefined;
}

/** The zone a mistyped name was probably meant to be: "Europe/Berln", "berlin", "New York". */
export function suggestZone(name: string): string | undefined {
  const names = Intl.supportedValuesOf('timeZone');
  const wanted = name.trim().replaceAll(' ', '_').toLowerCase();
  const byCity = names.find((zone) => zone.toLowerCase().endsWith(`/${wanted}`));
  return byCity ?? nearest(wanted, names) ?? cityNearest(wanted, names);
}

function cityNearest(wanted: string, names: readonly string[]): string | undefined {
  const cityOf = (zone: string): string => zone.slice(zone.lastIndexOf('/') + 1);
  const city = nearest(cityOf(wanted), names.map(cityOf));
  return city === undefined ? undefined : names.find((zone) => cityOf(zone) === city);
}
