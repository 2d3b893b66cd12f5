// What the suites of the HTTP contract share: one node per file, jobs, and waiting for runs to end.
import { afterAll, beforeAll, expect } from 'vitest';
import { eventually } from '../kit/eventually.ts';
import type { Answer } from '../kit/http-client.ts';
import { type NodeOptions, type TestNode, startNode } from '../kit/node.ts';

/** One node for all tests of a file. */
export function nodeForFile(options: NodeOptions = {}): () => TestNode {
  let node: TestNode | undefined;
  beforeAll(async () => {
    node = await startNode(options);
  }, 60_000);
  afterAll(async () => {
    await node?.stop();
  }, 60_000);
  return () => {
    if (node === undefined) throw new Error('the node is not up');
    return node;
  };
}

export type Body = Record<string, unknown>;

/** A job that only runs when told to. */
export function manual(name: string, over: Body = {}): Body {
  return { name, schedule: '@manually', executor: 'shell', executor_config: { command: 'true' }, ...over };
}

/** Posts a job and expects 201. */
export async function create(node: TestNode, body: Body): Promise<Body> {
  const answer = await node.post('/v1/jobs', body);
  expect(answer.text).toContain(`"name":"${String(body['name'])}"`);
  expect(answer.status).toBe(201);
  return answer.json();
}

export async function runNow(node: TestNode, name: string, query = ''): Promise<number> {
  const answer = await node.post(`/v1/jobs/${encodeURIComponent(name)}/run${query}`);
  expect({ status: answer.status, text: answer.status === 200 ? '' : answer.text }).toEqual({ status: 200, text: '' });
  return answer.json().group as number;
}

/** The run once it has its outcome. */
export function ended(node: TestNode, group: number): Promise<any> {
  return eventually(`run ${group} to end`, async () => {
    const answer = await node.get(`/v1/runs/${group}`);
    if (answer.status !== 200) throw new Error(answer.text);
    const run = answer.json();
    return run.outcome === null ? undefined : run;
  });
}

/** The run once its process has been started. */
export function running(node: TestNode, group: number): Promise<any> {
  return eventually(`run ${group} to start`, async () => {
    const run = (await node.get(`/v1/runs/${group}`)).json();
    return run.executions?.some((execution: { started_at: string | null }) => execution.started_at !== null)
      ? run
      : undefined;
  });
}

export async function runToEnd(node: TestNode, name: string): Promise<any> {
  return ended(node, await runNow(node, name));
}

/** Dkron's routes: one line of plain text with a status. */
export function expectLine(answer: Answer, status: number, text: string | RegExp): void {
  expect({ status: answer.status, type: answer.headers['content-type'] }).toEqual({
    status,
    type: 'text/plain; charset=utf-8',
  });
  expect(answer.text).toMatch(text);
  expect(answer.text).not.toMatch(/\n|\bat .*:\d+:\d+|node_modules/);
}

/** Additive routes: an error object. */
export function expectError(answer: Answer, status: number, error: Body): void {
  expect(answer.headers['content-type']).toBe('application/json; charset=utf-8');
  expect({ status: answer.status, ...answer.json() }).toMatchObject({ status, error });
}

export const ZERO = '0001-01-01T00:00:00Z';
export const RFC3339_UTC = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/;
