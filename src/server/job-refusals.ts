/** What a person is told when a command on a job is refused. */
import type { CompiledJob } from '../core/compiled-job.ts';
import { AppError } from '../model/errors.ts';
import type { JobInput } from '../model/job.ts';
import type { Reason } from '../model/occurrence.ts';

export function notFound(name: string): AppError {
  return new AppError('not_found', `no job named ${JSON.stringify(name)}`, { remedy: 'GET /v1/jobs lists them' });
}

export function noTarget({ name, definition }: CompiledJob): AppError {
  return new AppError('no_target', `no node has the tags of job ${name}: ${JSON.stringify(definition.tags)}`, {
    field: 'tags',
    remedy: 'GET /v1/members shows the tags of each node; --tag adds some',
  });
}

export function nodeStops(): AppError {
  return new AppError('unavailable', 'this node is stopping and starts nothing new; the run was not accepted', {
    remedy: 'ask again once the node has been started again',
  });
}

export function overlaps({ name, concurrency }: CompiledJob, group: number | undefined, reason: Reason): AppError {
  const running = `job ${name} is running (group ${group ?? 'unknown'})`;
  const why = reason === 'queue_full' ? 'one run waits for it already' : `its concurrency is ${concurrency}`;
  return new AppError('overlap', `${running} and ${why}`, {
    remedy: 'wait for it, or run with ?force=true',
    ...(group === undefined ? {} : { group }),
  });
}

export function hasDependents(name: string, dependents: readonly string[]): AppError {
  return new AppError('has_dependents', `job ${name} is the parent of ${dependents.join(', ')}`, {
    remedy: 'delete or move its dependents first',
  });
}

export function parentMissing(input: JobInput): AppError {
  return new AppError('parent_not_found', 'specified parent job not found', {
    field: 'parent_job',
    remedy: `${JSON.stringify(input.parent_job)} must exist`,
  });
}

/** An expected refusal of one job of a restore; anything else is a failure of the whole. */
export function expected(error: unknown): false {
  if (error instanceof AppError && error.code !== 'disk_full' && error.code !== 'unavailable') return false;
  throw error as Error;
}
