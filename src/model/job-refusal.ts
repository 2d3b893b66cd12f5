// Why a body is no job, in words a person can act on.
import type { z } from 'zod';
import { Retry } from './job-schema.ts';
import { nearest } from './nearest.ts';
import { Misfire } from './schedule.ts';

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
  const [first] = error.issues;
  const path = first?.path ?? [];
  const field = path.map(String).join('.');
  let value: unknown = body;
  for (const step of path)
    value = typeof value === 'object' && value !== null ? (value as Record<PropertyKey, unknown>)[step] : undefined;
  const { message, remedy } = describeIssue(first, value);
  const stray = first?.code === 'unrecognized_keys' ? nearestKey(path[0], first.keys[0]) : undefined;
  return refuse('decode', field, message, stray ?? remedy);
}

function describeIssue(issue: z.core.$ZodIssue | undefined, value: unknown): { message: string; remedy: string } {
  switch (issue?.code) {
    case 'invalid_type':
      if (issue.expected === 'string') {
        return { message: `expected a string, got ${kindOf(value)}`, remedy: 'write the value in double quotes' };
      }
      if (typeof value === 'number') {
        return {
          message: `expected ${article(issue.expected)}, got ${value}`,
          remedy: `write a whole number up to ${Number.MAX_SAFE_INTEGER}`,
        };
      }
      return {
        message: `expected ${article(issue.expected)}, got ${kindOf(value)}`,
        remedy: `give ${article(issue.expected)}, or leave it out`,
      };
    case 'too_small':
      return {
        message: `must be at least ${issue.minimum}, got ${shown(value)}`,
        remedy: `give ${issue.minimum} or more`,
      };
    case 'too_big':
      return issue.origin === 'string'
        ? { message: `is longer than ${issue.maximum} characters`, remedy: 'shorten it' }
        : { message: `must be at most ${issue.maximum}`, remedy: `give ${issue.maximum} or less` };
    case 'invalid_value':
      return { message: `must be one of ${issue.values.map(String).join(', ')}`, remedy: `got ${shown(value)}` };
    case 'unrecognized_keys':
      return {
        message: `has no field ${issue.keys
          .slice(0, 5)
          .map((key) => JSON.stringify(key.slice(0, 60)))
          .join(', ')}`,
        remedy: 'remove it',
      };
    case 'invalid_union':
      return { message: 'is neither the name of a calendar nor a calendar', remedy: 'see docs/api.md, "Calendars"' };
    default:
      return { message: issue?.message ?? 'is not valid', remedy: 'see docs/api.md, "A job"' };
  }
}

const KEYS_OF: Record<string, readonly string[]> = {
  misfire: Object.keys(Misfire.shape),
  retry: Object.keys(Retry.shape),
  dst: ['gap', 'overlap'],
};

function nearestKey(field: PropertyKey | undefined, key: string | undefined): string | undefined {
  const known = nearest(key ?? '', KEYS_OF[String(field)] ?? []);
  return known === undefined ? undefined : `did you mean ${known}?`;
}

export function kindOf(value: unknown): string {
  if (value === null || value === undefined) return 'nothing';
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'number' || typeof value === 'boolean') return `a ${typeof value} (${value})`;
  return article(typeof value);
}

function article(kind: string): string {
  const word = kind === 'int' ? 'integer' : kind === 'record' ? 'object' : kind;
  return /^[aeio]/.test(word) ? `an ${word}` : `a ${word}`;
}

/** A value as an error may show it: short, on one line; never an object, which may hold secrets. */
export function shown(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value.slice(0, 40)) : kindOf(value);
}
