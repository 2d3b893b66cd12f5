// What a schedule is once its text is understood, and what is asked of it.
import type { Calendar, DstPolicy, ScheduleWarning } from '../../model/schedule.ts';

/** How the two day fields combine: `or` when both are restricted, `and` when the weekday field begins with `+`. */
export type DayMode = 'all' | 'month' | 'week' | 'or' | 'and';

/** A day that no bit can name. `nearest` is the `W` suffix: the nearest Monday–Friday inside the same month. */
export type DayRule =
  | { readonly kind: 'fromEnd'; readonly offset: number; readonly nearest: boolean } // L, L-n, LW, L-nW
  | { readonly kind: 'nearest'; readonly day: number } // nW
  | { readonly kind: 'nth'; readonly weekday: number; readonly nth: number } // 5#2
  | { readonly kind: 'last'; readonly weekday: number }; // 5L

/**
 * A cron expression as bit sets: small, shared between jobs with the same text, and all integers.
 * Seconds and minutes take two words of 30 bits each. Bit 0 is day 1, January, and Sunday.
 */
export interface CronSchedule {
  readonly kind: 'cron';
  readonly secondsLow: number;
  readonly secondsHigh: number;
  readonly minutesLow: number;
  readonly minutesHigh: number;
  readonly hours: number;
  readonly days: number;
  readonly months: number;
  readonly weekdays: number;
  readonly dayMode: DayMode;
  readonly monthRules: readonly DayRule[] | undefined;
  readonly weekRules: readonly DayRule[] | undefined;
  /** Sorted; undefined is every year. */
  readonly years: readonly number[] | undefined;
  /** The minute or hour field begins with `*` or `?`: follow elapsed time through clock changes. */
  readonly elapsed: boolean;
  /** Some field was chosen by the job's name (H or ~). */
  readonly hashed: boolean;
  /** Occurrences on a day that matches. */
  readonly perDay: number;
}

export interface EverySchedule {
  readonly kind: 'every';
  readonly intervalMs: number;
}

export interface AtSchedule {
  readonly kind: 'at';
  readonly at: number;
}

/** Once: at `at`, or at once when it is stored up to `graceMs` later. */
export interface AfterSchedule {
  readonly kind: 'after';
  readonly at: number;
  readonly graceMs: number;
}

export interface ManualSchedule {
  readonly kind: 'manual';
}

export type Schedule = CronSchedule | EverySchedule | AtSchedule | AfterSchedule | ManualSchedule;

/** A schedule with everything that decides its instants. All instants are epoch milliseconds. */
export interface ScheduleSpec {
  readonly schedule: Schedule;
  /** A resolved IANA name, as `resolveZone` returns it. */
  readonly zone: string;
  readonly dst?: DstPolicy | undefined;
  /** When this schedule text was first stored: the phase of `@every` without startsAt, and what `@after` compares with. */
  readonly anchorAt: number;
  /** Both ends included. */
  readonly startsAt?: number | undefined;
  readonly expiresAt?: number | undefined;
  readonly jitterMs?: number | undefined;
  readonly jitterSeed?: string | number | undefined;
  readonly calendars?: readonly Calendar[] | undefined;
}

export type ScheduleErrorCode =
  | 'empty'
  | 'too_long'
  | 'field_count'
  | 'descriptor'
  | 'syntax'
  | 'range'
  | 'duration'
  | 'instant'
  | 'zone'
  | 'impossible'
  | 'past';

export interface ScheduleError {
  readonly code: ScheduleErrorCode;
  /** One sentence: what is wrong and what would be right. */
  readonly message: string;
  readonly field: 'schedule' | 'timezone';
  /** 0-based character offset in the text of `field`. */
  readonly position: number;
  /** The whole value of `field`, put right. */
  readonly suggestion?: string;
}

export interface ParseOptions {
  /** The job's name: what H and ~ hash. */
  readonly name: string;
  readonly timezone?: string | undefined;
  /** With it, schedules that can only fire before this instant are refused (`past`). */
  readonly nowMs?: number | undefined;
  /** Accept an `@at` or `@after` in the past. */
  readonly runIfPast?: boolean | undefined;
  /** For a restore: impossible and past schedules are kept (they never fire). */
  readonly allowImpossible?: boolean | undefined;
}

export type ParseResult =
  | {
      readonly ok: true;
      readonly schedule: Schedule;
      /** From TZ=, CRON_TZ= or `timezone`; undefined: the node's default zone. */
      readonly zone: string | undefined;
      /** What the text itself shows (a step that leaves one value, an uneven step); `warnings` adds what needs zone and time. */
      readonly notes: readonly ScheduleWarning[];
    }
  | { readonly ok: false; readonly error: ScheduleError };
