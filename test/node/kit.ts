// What the suites of whole nodes share: jobs that wait for a word, runs awaited to their end, the lines a node says.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { eventually } from '../kit/eventually.ts';
import type { TestNode } from '../kit/node.ts';

export type Body = Record<string, unknown>;

/** What /v1/runs/:group answers, as far as the suites look at it. */
export interface Run {
  readonly group: number;
  readonly job: string;
  readonly scheduled_at: string;
  readonly outcome: string | null;
  readonly reason: string;
  readonly count: number;
  readonly executions: readonly {
    readonly id: string;
    readonly state: string;
    readonly outcome: string | null;
    readonly reason: string;
    readonly exit_code: number | null;
    readonly started_at: string | null;
    readonly message: string | null;
    readonly output_bytes: number;
    readonly log_bytes: number;
  }[];
}

export function manual(name: string, command: string, over: Body = {}): Body {
  return { name, schedule: '@manually', executor: 'shell', executor_config: { shell: 'true', command }, ...over };
}

/** Runs until `release` (or the end of the node's tree: its command names the directory). */
export function waiting(node: TestNode, name: string, over: Body = {}): Body {
  const word = join(node.dataDir, `go-${name}`);
  return manual(name, `until test -e ${word}; do sleep 0.05; done; echo went on`, over);
}

export function release(node: TestNode, name: string): void {
  writeFileSync(join(node.dataDir, `go-${name}`), '');
}

export async function create(node: TestNode, body: Body): Promise<void> {
  const answer = await node.post('/v1/jobs', body);
  expect({ status: answer.status, text: answer.status === 201 ? '' : answer.text }).toEqual({ status: 201, text: '' });
}

export async function runNow(node: TestNode, name: string): Promise<number> {
  const answer = await node.post(`/v1/jobs/${name}/run`);
  expect({ status: answer.status, text: answer.status === 200 ? '' : answer.text }).toEqual({ status: 200, text: '' });
  return answer.json<{ group: number }>().group;
}

export async function runOf(node: TestNode, group: number): Promise<Run> {
  const answer = await node.get(`/v1/runs/${group}`);
  if (answer.status !== 200) throw new Error(`${answer.status} ${answer.text}`);
  return answer.json<Run>();
}

export function started(node: TestNode, group: number): Promise<Run> {
  return eventually(`run ${group} to start`, async () => {
    const run = await runOf(node, group);
    return run.executions.some(({ started_at }) => started_at !== null) ? run : undefined;
  });
}

export function ended(node: TestNode, group: number, timeoutMs?: number): Promise<Run> {
  return eventually(
    `run ${group} to end`,
    async () => {
      const run = await runOf(node, group);
      return run.outcome === null ? undefined : run;
    },
    timeoutMs,
  );
}

export function runToEnd(node: TestNode, name: string): Promise<Run> {
  return runNow(node, name).then((group) => ended(node, group));
}

/** All runs of a job, newest first. */
export async function runsOf(node: TestNode, job: string): Promise<Run[]> {
  const answer = await node.get(`/v1/runs?job=${job}&limit=500`);
  if (answer.status !== 200) throw new Error(`${answer.status} ${answer.text}`);
  return answer.json<{ runs: Run[] }>().runs;
}

/** The last line that is not empty. */
export function lastLine(text: string): string {
  return text.trimEnd().split('\n').at(-1) ?? '';
}
