// When runs start, and what happens to the times that were missed.
import { nearest } from '../nearest.ts';
import { duration, int, oneOf, text } from '../option.ts';

const since = '0.1.0';

export const SCHEDULING_OPTIONS = {
  timezone: text({
    name: 'timezone',
    group: 'Scheduling',
    since,
    default: null,
    defaultText: "the host's at first start, then stored",
    example: 'Europe/Madrid',
    constraint: 'an IANA time zone',
    check: zoneProblem,
    description: 'Time zone of schedules that name none.',
  }),
  misfireGraceMs: duration({
    name: 'misfire-grace',
    group: 'Scheduling',
    since,
    default: '60s',
    min: '0s',
    max: '30d',
    example: '5m',
    description: 'How late a run may start and still count as on time; jobs can say otherwise (misfire.grace).',
  }),
  misfirePolicy: oneOf({
    name: 'misfire-policy',
    group: 'Scheduling',
    since,
    default: 'last',
    values: ['skip', 'last', 'all'],
    example: 'skip',
    description:
      'What happens to times missed by more than the grace: none, only the newest, or each of them runs (misfire.policy).',
  }),
  misfireWindowMs: duration({
    name: 'misfire-window',
    group: 'Scheduling',
    since,
    default: '7d',
    min: '1s',
    max: '366d',
    example: '24h',
    description: 'Missed times older than this are never made up for (misfire.window).',
  }),
  misfireMax: int({
    name: 'misfire-max',
    group: 'Scheduling',
    since,
    default: 100,
    min: 1,
    max: 10_000,
    example: '10',
    description: 'With the policy "all": at most so many missed times of one job run (misfire.max).',
  }),
  catchUpRate: int({
    name: 'catch-up-rate',
    group: 'Scheduling',
    since,
    default: 50,
    min: 1,
    max: 10_000,
    example: '20',
    description: 'Missed runs started per second, over all jobs.',
  }),
} as const;

function zoneProblem(zone: string): string | undefined {
  try {
    new Intl.DateTimeFormat('en', { timeZone: zone });
    return /^[+-]/.test(zone) ? 'must be an IANA time zone such as "Europe/Madrid", not an offset' : undefined;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    const near = nearest(zone, Intl.supportedValuesOf('timeZone'));
    return `must be an IANA time zone such as "Europe/Madrid"${near === undefined ? '' : `; did you mean "${near}"?`}`;
  }
}
