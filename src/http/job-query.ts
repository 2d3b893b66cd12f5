// GET /v1/jobs: Dkron's query parameters (dkron.md §1.4). Where Dkron answers 500, this answers 400 and says why.
import type { FastifyRequest } from 'fastify';
import { AppError } from '../model/errors.ts';
import { nearest } from '../model/nearest.ts';
import { queryValue } from './route.ts';
import type { JobQuery } from './services.ts';

const SORTS = [
  'name',
  'displayname',
  'schedule',
  'success_count',
  'error_count',
  'last_success',
  'last_error',
  'next',
] as const;
/** Distinct `metadata[…]` filters in one request. */
const METADATA_FILTERS_MAX = 50;

/** The query as the service wants it. Throws AppError('invalid'). */
export function readJobQuery(request: FastifyRequest): JobQuery {
  return {
    sort: readSort(queryValue(request, '_sort') ?? ''),
    descending: queryValue(request, '_order') === 'DESC',
    start: readRange(request, '_start') ?? 0,
    end: readRange(request, '_end'),
    q: queryValue(request, 'q') || null,
    status: queryValue(request, 'status') || null,
    disabled: queryValue(request, 'disabled') === '' ? null : readBool(request, 'disabled'),
    metadata: readMetadata(request),
  };
}

/** As Go's ParseBool reads it, which Dkron's clients write by; null when absent. Never guessed: both answers do something. */
export function readBool(request: FastifyRequest, field: string): boolean | null {
  const text = queryValue(request, field);
  if (text === undefined) return null;
  if (/^(true|t|1)$/i.test(text)) return true;
  if (/^(false|f|0)$/i.test(text)) return false;
  throw invalid(field, 'must be true or false', `write ${field}=true, ${field}=false, or leave it out`);
}

function invalid(field: string, message: string, remedy: string): AppError {
  return new AppError('invalid', message, { field, remedy });
}

function readSort(sort: string): JobQuery['sort'] {
  if (sort === '' || sort === 'id') return 'name';
  const known = SORTS.find((name) => name === sort);
  if (known !== undefined) return known;
  const near = nearest(sort, SORTS);
  throw invalid(
    '_sort',
    'names no field jobs can be sorted by',
    near === undefined ? `use one of ${SORTS.join(', ')}` : `did you mean ${near}?`,
  );
}

/** A non-negative integer, or null when absent. */
export function readRange(request: FastifyRequest, field: '_start' | '_end'): number | null {
  const text = queryValue(request, field) ?? '';
  if (text === '') return null;
  if (!/^\+?\d{1,15}$/.test(text))
    throw invalid(field, 'must be a whole number, not negative', 'for example _start=0&_end=50');
  return Number(text);
}

function readMetadata(request: FastifyRequest): Record<string, string> {
  const wanted: Record<string, string> = {};
  let count = 0;
  for (const field of Object.keys(request.query as object)) {
    const key = /^metadata\[(.*)\]$/s.exec(field)?.[1];
    if (key === undefined || key === '__proto__') continue;
    if (++count > METADATA_FILTERS_MAX)
      throw invalid('metadata', `has more than ${METADATA_FILTERS_MAX} filters`, 'use fewer');
    wanted[key] = queryValue(request, field) ?? '';
  }
  return wanted;
}
