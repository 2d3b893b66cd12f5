// Why a body is no job, in words a person can act on.
import type { z } from 'zod';
import { bodyFault } from './body-fault.ts';
import { jobInputSchema } from './job-schema.ts';

/** Why a body is no job. `stage` tells Dkron's two texts apart: "unable to parse payload" and "job validation failed". */
export interface JobRefusal {
  ok: false;
  stage: 'decode' | 'validate';
  /** Path of the field at fault, e.g. "executor_config.timeout"; empty when it is the body as a whole. */
  field: string;
  message: string;
  remedy: string;
}

export function refuse(stage: JobRefusal['stage'], field: string, message: string, remedy: string): JobRefusal {
  return { ok: false, stage, field, message, remedy };
}

/** The first thing zod found, as a refusal. `body` is what was decoded. */
export function decodeRefusal(error: z.ZodError, body: unknown): JobRefusal {
  const { field, message, remedy } = bodyFault(error, jobInputSchema, body, 'see docs/api.md, "A job"');
  return refuse('decode', field, message, remedy);
}
