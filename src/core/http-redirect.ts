/** Redirects as Go's client follows them: which method, body and headers go to the next place, and when to stop. */
import type { HttpHeader } from './http-headers.ts';

/** As Go: the eleventh redirect is an error. */
export const REDIRECTS_MAX = 10;

/** What a redirect may change of a request. */
export interface RedirectableRequest {
  readonly url: URL;
  readonly method: string;
  readonly headers: readonly HttpHeader[];
  readonly body: string;
}

export type RedirectStep =
  | { readonly kind: 'final' }
  | { readonly kind: 'follow'; readonly request: RedirectableRequest }
  | { readonly kind: 'refused'; readonly problem: string };

/** What follows a response of `status` with this Location, after `followed` redirects already taken. */
export function redirectStep(
  request: RedirectableRequest,
  status: number,
  location: string | undefined,
  followed: number,
): RedirectStep {
  if (![301, 302, 303, 307, 308].includes(status)) return { kind: 'final' };
  if (location === undefined || location === '') return { kind: 'final' }; // seen in the wild; Go hands it to the caller too
  if (followed >= REDIRECTS_MAX) return { kind: 'refused', problem: tooMany(request.url, status) };
  const url = URL.parse(location, request.url.href);
  if (url === null) return { kind: 'refused', problem: `${request.url.host} redirects to something that is no URL` };
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    return {
      kind: 'refused',
      problem: `${request.url.host} redirects to the unsupported scheme ${url.protocol.slice(0, 20)}`,
    };
  }
  return { kind: 'follow', request: nextRequest(request, url, status, location) };
}

/** Never more of a URL than its host: path and query may be secrets. */
function tooMany({ host }: URL, status: number): string {
  return `stopped after ${REDIRECTS_MAX} redirects, and ${host} answered with another (${status}): they may lead in a circle; call the last address directly`;
}

function nextRequest(request: RedirectableRequest, url: URL, status: number, location: string): RedirectableRequest {
  const becomesGet = status < 307 && request.method !== 'GET' && request.method !== 'HEAD';
  const leavesHost =
    url.hostname !== request.url.hostname || (request.url.protocol === 'https:' && url.protocol === 'http:');
  const relative = !/^([a-z][a-z0-9+.-]*:|\/\/)/i.test(location);
  return {
    url,
    method: becomesGet ? 'GET' : request.method,
    body: becomesGet ? '' : request.body,
    headers: request.headers.filter(({ name }) => {
      const lower = name.toLowerCase();
      if (leavesHost && SECRET.has(lower)) return false;
      // A Host of the job's own is meant for the place it named; only a relative redirect stays there.
      if (lower === 'host') return relative;
      return !(becomesGet && lower.startsWith('content-'));
    }),
  };
}

/** Meant for the host the job named, never for one that a response names. */
const SECRET = new Set(['authorization', 'cookie', 'cookie2', 'proxy-authorization', 'www-authenticate']);
