// What is wrong with a decoded body, in words a person can act on: the field at fault, the fault, the remedy.
import type { z } from 'zod';
import { nearest } from './nearest.ts';

export interface BodyFault {
  /** Path of the field, e.g. "dst.gap"; empty when it is the body as a whole. */
  field: string;
  message: string;
  remedy: string;
}

type Path = readonly PropertyKey[];

/** The first thing zod found in `body`. `remedy` is said where the fault suggests none of its own. */
export function bodyFault(error: z.ZodError, schema: z.ZodType, body: unknown, remedy: string): BodyFault {
  // A field written wrong is often the one that is missing.
  const first = error.issues.find(({ code }) => code === 'unrecognized_keys') ?? error.issues[0];
  if (first === undefined) return { field: '', message: 'is not valid', remedy };
  const { issue, path } = innermost(first, []);
  if (issue.code === 'unrecognized_keys') return unknownKey(issue.keys[0] ?? '', keysAt(schema, path), path);
  const value = valueAt(body, path);
  return { field: path.map(String).join('.'), ...faultOf(issue, value, path, remedy) };
}

/** Into the alternative that the value was meant to be: the only one that accepts its kind. */
function innermost(issue: z.core.$ZodIssue, before: Path): { issue: z.core.$ZodIssue; path: Path } {
  const path = [...before, ...issue.path];
  if (issue.code !== 'invalid_union') return { issue, path };
  const [meant, another] = issue.errors.flatMap(([first]) => (first === undefined || isOfKind(first) ? [] : [first]));
  return meant === undefined || another !== undefined ? { issue, path } : innermost(meant, path);
}

const isOfKind = (issue: z.core.$ZodIssue): boolean => issue.code === 'invalid_type' && issue.path.length === 0;

function valueAt(body: unknown, path: Path): unknown {
  let value = body;
  for (const step of path)
    value = typeof value === 'object' && value !== null ? (value as Record<PropertyKey, unknown>)[step] : undefined;
  return value;
}

function unknownKey(key: string, known: readonly string[], path: Path): BodyFault {
  const near = nearest(key, known);
  return {
    field: [...path.map(String), key.slice(0, 60)].join('.'),
    message: 'is not a known field',
    remedy: near === undefined ? `known are ${known.join(', ')}` : `did you mean ${near}?`,
  };
}

/** The fields of the object a schema has at `path`; of every alternative of a union. */
function keysAt(schema: z.core.$ZodType, path: Path): string[] {
  const { def } = (schema as z.core.$ZodTypes)._zod;
  switch (def.type) {
    case 'object': {
      const [step, ...rest] = path;
      if (step === undefined) return Object.keys(def.shape);
      const field = def.shape[String(step)];
      return field === undefined ? [] : keysAt(field, rest);
    }
    case 'array':
      return keysAt(def.element, path.slice(1));
    case 'union':
      return def.options.flatMap((option) => keysAt(option, path));
    case 'optional':
    case 'nullable':
    case 'default':
      return keysAt(def.innerType, path);
    default:
      return [];
  }
}

function faultOf(
  issue: z.core.$ZodIssue,
  value: unknown,
  path: Path,
  remedy: string,
): { message: string; remedy: string } {
  if (value === undefined && path.length > 0) return { message: 'is missing', remedy };
  switch (issue.code) {
    case 'invalid_type':
      return wrongKind(issue.expected, value, path, remedy);
    case 'invalid_union':
      return { message: `expected ${kindsOf(issue)}, got ${kindOf(value)}`, remedy };
    case 'too_small':
      return issue.origin === 'string'
        ? { message: `has fewer than ${issue.minimum} characters`, remedy: 'write more, or leave it out' }
        : {
            message: `must be at least ${issue.minimum}, got ${shown(value)}`,
            remedy: `give ${issue.minimum} or more`,
          };
    case 'too_big':
      return tooBig(issue);
    case 'invalid_value':
      return notOneOf(issue.values.map(String), value, remedy);
    default:
      return inOwnWords(issue.message, value, remedy);
  }
}

function wrongKind(expected: string, value: unknown, path: Path, remedy: string): { message: string; remedy: string } {
  if (path.length === 0) return { message: `expected a JSON ${expected}, got ${kindOf(value)}`, remedy };
  const message = `expected ${article(expected)}, got ${kindOf(value)}`;
  if (value === null) return { message, remedy };
  if (expected === 'string' && typeof value === 'object')
    return { message, remedy: 'write it as one text in double quotes; JSON inside it with \\" for its own quotes' };
  if (expected === 'string') return { message, remedy: 'write the value in double quotes' };
  if (expected === 'int' && typeof value === 'number')
    return { message, remedy: 'write a whole number, not too large' };
  const isQuoted = typeof value === 'string' && /^(?:number|int|boolean)$/.test(expected);
  return { message, remedy: `give ${article(expected)}${isQuoted ? ' without quotes' : ''}, or leave it out` };
}

function kindsOf(issue: z.core.$ZodIssueInvalidUnion): string {
  const kinds = issue.errors.flatMap(([first]) => (first?.code === 'invalid_type' ? [article(first.expected)] : []));
  return [...new Set(kinds)].join(' or ');
}

function tooBig(issue: z.core.$ZodIssueTooBig): { message: string; remedy: string } {
  if (issue.origin === 'string') return { message: `is longer than ${issue.maximum} characters`, remedy: 'shorten it' };
  return issue.origin === 'array'
    ? { message: `has more than ${issue.maximum} entries`, remedy: `give ${issue.maximum} or fewer` }
    : { message: `must be at most ${issue.maximum}`, remedy: `give ${issue.maximum} or less` };
}

function notOneOf(values: readonly string[], value: unknown, remedy: string): { message: string; remedy: string } {
  const got = `got ${shown(value)}`;
  if (values.length === 1) return { message: `must be ${JSON.stringify(values[0])}, ${got}`, remedy };
  const near = typeof value === 'string' ? nearest(value, values) : undefined;
  return {
    message: `must be one of ${values.join(', ')}, ${got}`,
    remedy: near === undefined ? 'give one of them, or leave it out' : `did you mean ${near}?`,
  };
}

/** Our own rules say what is wrong and, behind a semicolon, what would be right. */
function inOwnWords(text: string, value: unknown, remedy: string): { message: string; remedy: string } {
  const [fault = '', ...right] = text.split('; ');
  const message = fault.startsWith('not ') ? `${shown(value)} is ${fault}` : fault;
  return { message, remedy: right.length === 0 ? remedy : right.join('; ') };
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
