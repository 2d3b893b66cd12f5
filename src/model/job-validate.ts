// Validation of a decoded job in Dkron's order and spirit (dkron.md §2.3).
import { parseBytes } from './bytes.ts';
import { parseDuration } from './duration.ts';
import { CONCURRENCY, JOB_LIMITS } from './job-schema.ts';
import type { JobDefinition, StringRecord } from './job-schema.ts';
import { shown } from './body-fault.ts';
import { refuse } from './job-refusal.ts';
import type { JobRefusal } from './job-refusal.ts';
import { nearest } from './nearest.ts';

/** What is wrong with a job, or undefined. The schedule's text and the time zone are left to core/schedule. */
export function validateJob(job: JobDefinition): JobRefusal | undefined {
  const name = nameProblem(job.name);
  if (name !== undefined) return refuse('validate', 'name', name.message, name.remedy);
  if (job.parent_job === job.name) {
    return refuse(
      'validate',
      'parent_job',
      'the job can not have itself as parent',
      'name another job, or give a schedule instead',
    );
  }
  if (job.schedule === '' && job.parent_job === '') {
    return refuse(
      'validate',
      'schedule',
      'schedule is empty',
      'give a schedule such as "@every 1m" or "@manually", or a parent_job',
    );
  }
  if (job.schedule.length > JOB_LIMITS.scheduleCharactersMax) {
    return refuse(
      'validate',
      'schedule',
      `schedule is longer than ${JOB_LIMITS.scheduleCharactersMax} characters`,
      'shorten it, or split the job',
    );
  }
  if (!CONCURRENCY.includes(job.concurrency)) {
    const near = nearest(job.concurrency, CONCURRENCY);
    const remedy = near === undefined ? 'leave it out to allow overlaps' : `did you mean ${near}?`;
    return refuse('validate', 'concurrency', `concurrency must be one of ${CONCURRENCY.join(', ')}`, remedy);
  }
  return job.executor === 'shell' ? validateShell(job.executor_config) : undefined;
}

/** Dkron's rule: any lower-case letter (category Ll), ASCII digits, "_" and "-". */
const ILLEGAL_IN_NAME = /[^\p{Ll}0-9_-]/u;

const encoder = new TextEncoder();

/** Why a text is no name of a job (or calendar), with the remedy; undefined when it is one. */
export function nameProblem(name: string): { message: string; remedy: string } | undefined {
  if (name === '')
    return { message: 'name cannot be empty', remedy: 'give the job a name, for example "nightly-report"' };
  const illegal = ILLEGAL_IN_NAME.exec(name)?.[0];
  if (illegal !== undefined) {
    return {
      message: `name contains illegal character ${JSON.stringify(illegal)}`,
      remedy: 'use lower-case letters, digits, "_" and "-"',
    };
  }
  if (name.length > JOB_LIMITS.nameBytesMax || encoder.encode(name).length > JOB_LIMITS.nameBytesMax) {
    return { message: `name is longer than ${JOB_LIMITS.nameBytesMax} bytes`, remedy: 'choose a shorter name' };
  }
  return undefined;
}

function validateShell(config: StringRecord): JobRefusal | undefined {
  const { timeout, mem_limit: memory } = config;
  if (timeout !== undefined && timeout !== '' && (parseDuration(timeout) ?? -1) < 0) {
    return refuse(
      'validate',
      'executor_config.timeout',
      `${shown(timeout)} is not a duration`,
      'write for example "30s", "10m" or "1h30m"',
    );
  }
  if (memory !== undefined && memory !== '' && (parseBytes(memory) ?? 0) === 0) {
    return refuse(
      'validate',
      'executor_config.mem_limit',
      `${shown(memory)} is not an amount of memory`,
      'write bytes, or for example "512MB" or "1.5GB"',
    );
  }
  return undefined;
}
