/** The jobs of a chaos run: a mix of everything, made from a seed. */
import type { Random } from '../../src/lib/random.ts';
import type { ChaosJob, Concurrency, SimpleSchedule } from './types.ts';

export interface WorkloadPlaces {
  /** The compiled job program. */
  readonly program: string;
  readonly evidenceFile: string;
  readonly lockDirectory: string;
  /** The harness's own http server, "http://127.0.0.1:40000". */
  readonly targetUrl: string;
}

interface Behaviour {
  readonly minMs: number;
  readonly maxMs: number;
  readonly failPermille: number;
  readonly bytesMax: number;
  /** What SIGTERM does: dies, ends by itself, ignores it. */
  readonly onTerm: 'd' | 'g' | 'i';
}

interface Family {
  readonly name: string;
  readonly count: number;
  readonly executor: 'shell' | 'http';
  readonly everyMs: number;
  /** A cron line of seconds instead of @every. */
  readonly cron?: boolean;
  readonly concurrency?: Concurrency;
  readonly retries?: number;
  readonly atLeastOnce?: boolean;
  readonly timeoutMs?: number;
  readonly jitterMs?: number;
  readonly throughShell?: boolean;
  /** Each gets a child, and every other child a child of its own. */
  readonly parents?: boolean;
  readonly does: Behaviour;
}

const QUICK: Behaviour = { minMs: 0, maxMs: 80, failPermille: 50, bytesMax: 2_000, onTerm: 'd' };

/** About 70 starts per second in all; faults take some of them away. */
const FAMILIES: readonly Family[] = [
  { name: 'plain', count: 22, executor: 'shell', everyMs: 1_000, does: QUICK },
  { name: 'viash', count: 3, executor: 'shell', everyMs: 1_000, throughShell: true, does: QUICK },
  { name: 'loud', count: 2, executor: 'shell', everyMs: 2_000, does: { ...QUICK, maxMs: 900, bytesMax: 150_000 } },
  { name: 'retry', count: 5, executor: 'shell', everyMs: 2_000, retries: 2, does: { ...QUICK, failPermille: 350 } },
  { name: 'again', count: 5, executor: 'shell', everyMs: 1_000, atLeastOnce: true, retries: 1, does: { ...QUICK, maxMs: 1_500, failPermille: 100 } },
  { name: 'web', count: 5, executor: 'http', everyMs: 1_000, does: { ...QUICK, maxMs: 300, failPermille: 80 } },
  { name: 'webretry', count: 2, executor: 'http', everyMs: 2_000, retries: 2, does: { ...QUICK, maxMs: 600, failPermille: 300 } },
  { name: 'webagain', count: 2, executor: 'http', everyMs: 1_000, atLeastOnce: true, does: { ...QUICK, maxMs: 2_000 } },
  { name: 'webtimeout', count: 1, executor: 'http', everyMs: 2_000, timeoutMs: 1_000, does: { ...QUICK, maxMs: 3_000 } },
  { name: 'cron', count: 8, executor: 'shell', everyMs: 2_000, cron: true, does: { ...QUICK, maxMs: 3_000 } },
  { name: 'seven', count: 2, executor: 'shell', everyMs: 7_000, cron: true, does: { ...QUICK, maxMs: 6_000, onTerm: 'g' } },
  { name: 'forbid', count: 3, executor: 'shell', everyMs: 1_000, concurrency: 'forbid', does: { ...QUICK, maxMs: 3_000 } },
  { name: 'forbidagain', count: 1, executor: 'shell', everyMs: 1_000, concurrency: 'forbid', atLeastOnce: true, retries: 1, does: { ...QUICK, maxMs: 2_000, failPermille: 300 } },
  { name: 'forbidweb', count: 1, executor: 'http', everyMs: 1_000, concurrency: 'forbid', does: { ...QUICK, maxMs: 2_000 } },
  { name: 'queue', count: 3, executor: 'shell', everyMs: 1_000, concurrency: 'queue', does: { ...QUICK, maxMs: 1_800, onTerm: 'g' } },
  { name: 'queueretry', count: 1, executor: 'shell', everyMs: 3_000, concurrency: 'queue', retries: 2, does: { ...QUICK, maxMs: 1_800, failPermille: 300 } },
  { name: 'queueweb', count: 1, executor: 'http', everyMs: 1_000, concurrency: 'queue', does: { ...QUICK, maxMs: 1_500 } },
  { name: 'replace', count: 2, executor: 'shell', everyMs: 2_000, concurrency: 'replace', does: { ...QUICK, maxMs: 6_000 } },
  { name: 'replacestub', count: 1, executor: 'shell', everyMs: 3_000, concurrency: 'replace', does: { ...QUICK, maxMs: 9_000, onTerm: 'i' } },
  { name: 'replaceweb', count: 1, executor: 'http', everyMs: 2_000, concurrency: 'replace', does: { ...QUICK, maxMs: 4_000 } },
  { name: 'long', count: 5, executor: 'shell', everyMs: 6_000, does: { ...QUICK, maxMs: 20_000, bytesMax: 20_000, onTerm: 'g' } },
  { name: 'longagain', count: 2, executor: 'shell', everyMs: 10_000, atLeastOnce: true, does: { ...QUICK, maxMs: 20_000, bytesMax: 20_000 } },
  { name: 'timeout', count: 2, executor: 'shell', everyMs: 2_000, timeoutMs: 1_500, does: { ...QUICK, maxMs: 5_000 } },
  { name: 'timeoutstub', count: 1, executor: 'shell', everyMs: 3_000, timeoutMs: 1_500, does: { ...QUICK, maxMs: 6_000, onTerm: 'i' } },
  { name: 'jitter', count: 4, executor: 'shell', everyMs: 1_000, jitterMs: 700, does: QUICK },
  { name: 'jitterforbid', count: 1, executor: 'shell', everyMs: 5_000, jitterMs: 4_000, concurrency: 'forbid', does: { ...QUICK, maxMs: 3_000 } },
  { name: 'parent', count: 4, executor: 'shell', everyMs: 1_000, parents: true, does: QUICK },
  { name: 'hand', count: 4, executor: 'shell', everyMs: 0, does: { ...QUICK, maxMs: 500 } },
]; // prettier-ignore

const MISFIRES = [
  { graceMs: 60_000, policy: 'last', max: 100 },
  { graceMs: 60_000, policy: 'last', max: 100 },
  { graceMs: 5_000, policy: 'last', max: 100 },
  { graceMs: 5_000, policy: 'skip', max: 100 },
  { graceMs: 10_000, policy: 'all', max: 20 },
  { graceMs: 2_000, policy: 'all', max: 100 },
] as const;

/** `nowNode`: by the node's clock; schedules are anchored at a whole second before it. */
export function makeWorkload(random: Random, places: WorkloadPlaces, nowNode: number): ChaosJob[] {
  const anchor = Math.floor(nowNode / 1000) * 1000 - 60_000;
  return FAMILIES.flatMap((family) => {
    const jobs: ChaosJob[] = [];
    for (let i = 0; i < family.count; i++) {
      const name = `${family.name}-${i}`;
      jobs.push(makeJob(family, name, null, random, places, anchor));
      if (family.parents !== true) continue;
      jobs.push(makeJob(family, `${name}-child`, name, random, places, anchor));
      if (i % 2 === 0) jobs.push(makeJob(family, `${name}-grandchild`, `${name}-child`, random, places, anchor));
    }
    return jobs;
  });
}

/** Jobs that a person starts: no schedule. */
export function isManual(job: ChaosJob): boolean {
  return job.family === 'hand';
}

function makeJob(
  family: Family,
  name: string,
  parent: string | null,
  random: Random,
  places: WorkloadPlaces,
  anchor: number,
): ChaosJob {
  const misfire = MISFIRES[Math.floor(random.float() * MISFIRES.length)] as ChaosJob['misfire'];
  const scheduled = parent === null && family.everyMs > 0;
  const schedule: SimpleSchedule = !scheduled
    ? { kind: 'none' }
    : family.cron === true
      ? { kind: 'seconds', step: family.everyMs / 1000 }
      : { kind: 'every', startsAt: anchor + Math.floor(random.float() * 30) * 1000, intervalMs: family.everyMs };
  const numbers = {
    name,
    family: family.name,
    executor: family.executor,
    schedule,
    concurrency: family.concurrency ?? 'allow',
    parent,
    retries: family.retries ?? 0,
    atLeastOnce: family.atLeastOnce ?? false,
    timeoutMs: family.timeoutMs ?? null,
    killGraceMs: 1_000,
    throughShell: family.throughShell === true,
    jitterMs: family.jitterMs ?? 0,
    misfire,
  };
  return { ...numbers, body: bodyOf(numbers, family, places) };
}

function bodyOf(job: Omit<ChaosJob, 'body'>, family: Family, places: WorkloadPlaces): Record<string, unknown> {
  const { schedule, misfire } = job;
  return {
    name: job.name,
    schedule: scheduleText(schedule, job.parent),
    ...(schedule.kind === 'every' ? { starts_at: new Date(schedule.startsAt).toISOString() } : {}),
    ...(job.parent === null ? {} : { parent_job: job.parent }),
    executor: job.executor,
    executor_config: job.executor === 'shell' ? shellConfig(job, family, places) : httpConfig(job, family, places),
    concurrency: job.concurrency,
    retries: job.retries,
    retry: { delay: '300ms', factor: 2, max_delay: '2s' },
    guarantee: job.atLeastOnce ? 'at-least-once' : 'at-most-once',
    misfire: { grace: `${misfire.graceMs}ms`, policy: misfire.policy, max: misfire.max },
    kill_grace: `${job.killGraceMs}ms`,
    ...(job.timeoutMs === null ? {} : { timeout: `${job.timeoutMs}ms` }),
    ...(job.jitterMs === 0 ? {} : { jitter: `${job.jitterMs}ms` }),
  };
}

function scheduleText(schedule: SimpleSchedule, parent: string | null): string {
  switch (schedule.kind) {
    case 'every':
      return `@every ${schedule.intervalMs / 1000}s`;
    case 'seconds':
      return `*/${schedule.step} * * * * *`;
    case 'none':
      return parent === null ? '@manually' : '';
  }
}

function shellConfig(
  job: Omit<ChaosJob, 'body'>,
  { does, throughShell }: Family,
  places: WorkloadPlaces,
): Record<string, string> {
  const lock = job.concurrency === 'allow' ? '-' : `${places.lockDirectory}/${job.name}`;
  const words = [
    places.program,
    places.evidenceFile,
    lock,
    does.minMs,
    does.maxMs,
    does.failPermille,
    does.bytesMax,
    does.onTerm,
  ];
  return { command: words.join(' '), ...(throughShell === true ? { shell: 'true' } : {}) };
}

function httpConfig(job: Omit<ChaosJob, 'body'>, { does }: Family, places: WorkloadPlaces): Record<string, string> {
  const query = new URLSearchParams({
    job: job.name,
    min: String(does.minMs),
    max: String(does.maxMs),
    fail: String(does.failPermille),
    bytes: String(does.bytesMax),
  });
  return { method: 'POST', url: `${places.targetUrl}/run?${query.toString()}`, expectCode: '200', timeout: '30s' };
}
