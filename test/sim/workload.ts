/** Random job definitions, and how their runs go. */
import type { StartRequest } from '../../src/model/agent.ts';
import { type Dice, hashShare } from './dice.ts';
import type { Script } from './sim-agent.ts';

/** dense: seconds between runs. sparse: minutes to a day, with long outages. dst: as sparse, around a clock change. */
export type Profile = 'dense' | 'sparse' | 'dst';

/** Clock changes: zone and the instant at which clocks jump. */
export const CLOCK_CHANGES: readonly (readonly [string, string])[] = [
  ['America/New_York', '2026-03-08T07:00:00Z'],
  ['America/New_York', '2026-11-01T06:00:00Z'],
  ['Europe/London', '2026-03-29T01:00:00Z'],
  ['Europe/London', '2026-10-25T01:00:00Z'],
  ['Australia/Lord_Howe', '2026-04-04T15:00:00Z'],
  ['Australia/Lord_Howe', '2026-10-03T15:30:00Z'],
  ['Africa/Casablanca', '2026-02-15T02:00:00Z'],
  ['Antarctica/Troll', '2026-03-29T01:00:00Z'],
  ['Pacific/Apia', '2011-12-30T10:00:00Z'],
  ['America/Sao_Paulo', '2018-11-04T03:00:00Z'],
];

const DENSE = [
  '* * * * * *',
  '*/2 * * * * *',
  '*/5 * * * * *',
  '*/10 * * * * *',
  '3/15 * * * * *',
  'H/20 * * * * *',
  '0,1,30 * * * * *',
  '@every 1s',
  '@every 3s',
  '@every 7s',
  '@every 45s',
  '@minutely',
  '* * * * *',
];
const SPARSE = [
  '0 */5 * * * *',
  '*/7 * * * *',
  '30 2 * * *',
  '15,45 1-3 * * *',
  '0 0 * * *',
  '@hourly',
  '@daily',
  '@every 11m',
  '@every 90m',
  'H H(0-3) * * *',
  '~ * * * *',
  '10 */2 * * *',
];

export interface WorkloadContext {
  readonly profile: Profile;
  readonly zone: string;
  readonly nowMs: number;
  /** Names that may be parents. */
  readonly parents: readonly string[];
}

/** A job as a client would post it. */
export function randomJob(name: string, dice: Dice, context: WorkloadContext): Record<string, unknown> {
  const dense = context.profile === 'dense';
  const parent = context.parents.filter((other) => other < name);
  const job: Record<string, unknown> = {
    name,
    executor: 'shell',
    executor_config: { command: 'true' },
    concurrency: dice.pick(['allow', 'allow', 'forbid', 'queue', 'replace']),
    retries: dice.chance(0.4) ? dice.int(1, 3) : 0,
    retry: { delay: dice.pick(['0s', '1s', '4s']), factor: 2, max_delay: '8s', jitter: 0.5 },
    guarantee: dice.chance(0.3) ? 'at-least-once' : 'at-most-once',
    misfire: {
      grace: dense ? dice.pick(['0s', '5s', '30s', '60s']) : dice.pick(['60s', '5m']),
      policy: dice.pick(['skip', 'last', 'all']),
      window: dense ? dice.pick(['30s', '10m', '7d']) : dice.pick(['2h', '7d']),
      max: dice.int(1, 12),
    },
    timezone: dice.chance(0.7) ? context.zone : dice.pick(['', 'Europe/Berlin', 'Asia/Kathmandu']),
  };
  if (parent.length > 0 && dice.chance(0.2)) job['parent_job'] = dice.pick(parent);
  else job['schedule'] = schedule(dice, context);
  if (dice.chance(0.2)) job['jitter'] = dense ? dice.pick(['1s', '9s', '40s']) : dice.pick(['30s', '10m']);
  if (dice.chance(0.15)) job['timeout'] = dice.pick(['500ms', '3s', '20s']);
  if (dice.chance(0.15)) job['start_deadline'] = dice.pick(['2s', '30s']);
  if (dice.chance(0.15)) job['processors'] = { log: {} };
  if (dice.chance(0.15)) job['calendars'] = [calendar(dice, context)];
  if (dice.chance(0.05)) job['calendars'] = [dice.pick(['calendar0', 'calendar1'])];
  if (dice.chance(0.1))
    job['dst'] = { gap: dice.pick(['after', 'skip', 'shift']), overlap: dice.pick(['first', 'second', 'both']) };
  if (dice.chance(0.05)) job['starts_at'] = instant(context.nowMs + dice.int(-60_000, 300_000));
  if (dice.chance(0.05)) job['expires_at'] = instant(context.nowMs + dice.int(60_000, 1_200_000));
  if (dice.chance(0.05)) job['disabled'] = true;
  return job;
}

function schedule(dice: Dice, { profile, nowMs }: WorkloadContext): string {
  const roll = dice.random.float();
  if (roll < 0.04) return '@manually';
  if (roll < 0.07) return `@at ${instant(nowMs + dice.int(5_000, 600_000))}`;
  if (roll < 0.1) return `@after ${instant(nowMs + dice.int(-20_000, 60_000))} 60s`;
  return dice.pick(profile === 'dense' ? DENSE : dice.chance(0.3) ? ['* * * * *', '30 * * * * *'] : SPARSE);
}

function calendar(dice: Dice, { nowMs }: WorkloadContext): Record<string, unknown> {
  const from = nowMs + dice.int(-60_000, 300_000);
  const ranges = [{ from: instant(from), to: instant(from + dice.int(10_000, 600_000)) }];
  return dice.chance(0.7) ? { ranges } : { weekdays: [dice.int(0, 6)], dates: ['12-25'] };
}

function instant(ms: number): string {
  return Temporal.Instant.fromEpochMilliseconds(Math.floor(ms / 1000) * 1000).toString();
}

/** How an execution goes: always the same for the same seed and key. */
export function scriptOf(seed: number): (request: StartRequest) => Script {
  return ({ key }) => {
    const roll = hashShare(seed, key);
    const length = hashShare(seed + 1, key);
    const durationMs = roll < 0.03 ? null : roll < 0.55 ? length * 900 : roll < 0.85 ? length * 6_000 : length * 40_000;
    return {
      durationMs,
      outcome: hashShare(seed + 2, key) < 0.2 ? 'failed' : 'succeeded',
      stopMs: hashShare(seed + 3, key) * 3_000,
    };
  };
}
