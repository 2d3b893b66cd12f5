/** Creating and deleting many jobs over the API. */
import type { DrivenNode } from './node.ts';
import type { Target } from './targets.ts';

const nameOf = (i: number): string => `bench-${i}`;

/** `count` jobs of one schedule. Answers how many a second were acknowledged; throws at the first refusal. */
export function createJobs(
  node: Pick<DrivenNode, 'client'>,
  count: number,
  schedule: string | ((i: number) => string),
  target: Pick<Target, 'job'>,
): Promise<number> {
  const when = typeof schedule === 'string' ? () => schedule : schedule;
  return node.client.forAll(count, async (i) => {
    const job = { name: nameOf(i), schedule: when(i), timezone: 'UTC', concurrency: 'allow', ...target.job(nameOf(i)) };
    const { status, body } = await node.client.call('POST', '/v1/jobs', job);
    if (status !== 201) throw new Error(`POST /v1/jobs: ${status} ${body.slice(0, 200)}`);
  });
}

/** Answers how many a second were gone. */
export function deleteJobs(node: DrivenNode, count: number): Promise<number> {
  return node.client.forAll(count, async (i) => {
    const { status } = await node.client.call('DELETE', `/v1/jobs/${nameOf(i)}`);
    if (status !== 200) throw new Error(`DELETE ${nameOf(i)}: ${status}`);
  });
}

/** The cron expression of exactly this second (UTC). */
export function onceAt(instant: number): string {
  const at = new Date(instant);
  return `${at.getUTCSeconds()} ${at.getUTCMinutes()} ${at.getUTCHours()} ${at.getUTCDate()} ${at.getUTCMonth() + 1} *`;
}

/** A job that is due once a year, at a moment of its own, and not soon. */
export function onceAYear(i: number): string {
  const mix = (k: number) => (k * 2_654_435_761) >>> 0;
  const month = ((new Date().getUTCMonth() + 2 + (mix(i + 29) % 9)) % 12) + 1;
  return `${mix(i) % 60} ${mix(i + 7) % 60} ${mix(i + 13) % 24} ${(mix(i + 19) % 28) + 1} ${month} *`;
}

/** Something to run for jobs that are not to run. */
export const NOTHING = { job: () => ({ executor: 'shell', executor_config: { command: 'true' } }) };
