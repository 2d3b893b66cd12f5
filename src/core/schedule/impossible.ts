// Cron expressions whose dates do not exist: refused with the field that makes them so.
import { below, members } from './bits.ts';
import { YEAR_MAX } from './civil.ts';
import type { Refusal } from './field-value.ts';
import { MONTH_NAMES, list } from './names.ts';
import type { CronSchedule } from './types.ts';
import { hasAnyDay, longestMonth } from './wall.ts';

interface Word {
  readonly text: string;
  readonly at: number;
}

/** Why a schedule can never fire again, or undefined if it can. `thisYear` undefined: only dates that exist in no year are refused. */
export function impossible(
  cron: CronSchedule,
  wordsOf: () => readonly Word[],
  thisYear: number | undefined,
  at: number,
): Refusal | undefined {
  if (cron.years === undefined && isPlainlyPossible(cron)) return undefined;
  const lastYear = cron.years?.at(-1);
  if (lastYear !== undefined && thisYear !== undefined && lastYear < thisYear) {
    const message = `the year ${lastYear} is over, so this schedule would never fire`;
    const year = wordsOf()[6];
    return { code: 'past', message, position: year?.at ?? at, suggestion: '*', length: year?.text.length ?? 0 };
  }
  return hasAnyDay(fromYear(cron, thisYear)) ? undefined : explain(cron, wordsOf());
}

/** Some day every month has: nothing to search. */
function isPlainlyPossible(cron: CronSchedule): boolean {
  return cron.dayMode === 'all' || cron.dayMode === 'week'
    ? cron.weekdays !== 0 || cron.dayMode === 'all'
    : cron.dayMode !== 'and' && (cron.days & below(28)) !== 0;
}

/** Only the years that are left. */
function fromYear(cron: CronSchedule, thisYear: number | undefined): CronSchedule {
  if (cron.years === undefined || thisYear === undefined) return cron;
  return { ...cron, years: cron.years.filter((year) => year >= thisYear) };
}

function explain(cron: CronSchedule, words: readonly Word[]): Refusal {
  const dayField = words.length === 5 ? 2 : 3;
  const position = words[dayField]?.at ?? 0;
  const first = members(cron.days)[0];
  if (
    cron.dayMode === 'month' &&
    cron.monthRules === undefined &&
    first !== undefined &&
    first + 1 > longestMonth(cron.months)
  ) {
    const months = list(
      members(cron.months).map((month) => MONTH_NAMES[month] as string),
      'or',
    );
    const message = `${months} never has a day ${first + 1}, so this schedule can never fire; L is the last day of a month`;
    return { code: 'impossible', message, position, suggestion: 'L', length: words[dayField]?.text.length ?? 0 };
  }
  const years = cron.years === undefined ? `up to ${YEAR_MAX}` : 'in the years asked for';
  const message = `no date ${years} has this day of month, month and day of week together, so this schedule can never fire`;
  return { code: 'impossible', message, position };
}
