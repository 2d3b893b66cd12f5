/** What a person is told when a command on a job is refused. */
import { AppError } from '../model/errors.ts';
import type { JobInput } from '../model/job.ts';

export function notFound(name: string): AppError {
  return new AppError('not_found', `no job named ${JSON.stringify(name)}`, { remedy: 'GET /v1/jobs lists them' });
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
