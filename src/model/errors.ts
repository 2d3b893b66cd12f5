/**
 * The one error class of the house and the one table that maps it to the edges.
 * Expected refusals inside the house are return values; an AppError is what an edge (HTTP, CLI) is to say.
 */

/** What went wrong, as a closed set: the edges map it, nothing inside knows HTTP. */
export type ErrorCode =
  | 'invalid'
  | 'not_found'
  | 'parent_not_found'
  | 'no_target'
  | 'has_dependents'
  | 'conflict'
  | 'overlap'
  | 'paused'
  | 'too_large'
  | 'forbidden'
  | 'unauthorized'
  | 'disk_full'
  | 'unavailable'
  | 'damaged'
  | 'internal';

/** HTTP status and whether repeating the same request later can help. */
export const ERROR_TABLE: Record<ErrorCode, { status: number; retryable: boolean }> = {
  invalid: { status: 400, retryable: false },
  not_found: { status: 404, retryable: false },
  parent_not_found: { status: 404, retryable: false },
  no_target: { status: 404, retryable: false },
  has_dependents: { status: 409, retryable: false },
  conflict: { status: 409, retryable: false },
  overlap: { status: 409, retryable: true },
  paused: { status: 503, retryable: true },
  too_large: { status: 413, retryable: false },
  forbidden: { status: 403, retryable: false },
  unauthorized: { status: 401, retryable: false },
  disk_full: { status: 503, retryable: true },
  unavailable: { status: 503, retryable: true },
  damaged: { status: 503, retryable: false },
  internal: { status: 500, retryable: false },
};

/** Details an error may carry: the field at fault, the remedy, and the group in the way of a refused run. */
export interface ErrorDetails {
  field?: string;
  remedy?: string;
  group?: number;
  cause?: unknown;
}

/** An error with a code from ERROR_TABLE. `message` is one sentence fit for a person; it never holds commands, bodies or secrets. */
export class AppError extends Error {
  readonly code: ErrorCode;
  readonly field: string | undefined;
  readonly remedy: string | undefined;
  readonly group: number | undefined;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'AppError';
    this.code = code;
    this.field = details.field;
    this.remedy = details.remedy;
    this.group = details.group;
  }
}
