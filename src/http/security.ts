/**
 * Who may speak to this node from a browser (DESIGN §6). A page of another site can make a browser send requests here; it cannot hide the
 * Host, Origin and Sec-Fetch-Site headers the browser adds. Clients that send none of these pass.
 */
import { isIP } from 'node:net';

/** What the check reads of a request. Header names are lower case. */
export interface Visit {
  readonly method: string;
  /** Path without query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

export interface Refusal {
  readonly message: string;
  readonly remedy: string;
}

/** Host names of ours besides localhost and IP literals: the node's, advertised ones and --allowed-hosts. Entries may carry a port. */
export type OwnHosts = ReadonlySet<string>;

export function ownHosts(names: Iterable<string>): OwnHosts {
  return new Set([...names].map((name) => name.toLowerCase().replace(/\.$/, '')).filter((name) => name !== ''));
}

/** Why a request is refused with 403, or undefined. */
export function refusalOf(visit: Visit, own: OwnHosts): Refusal | undefined {
  const host = one(visit.headers['host']);
  if (host !== undefined && !isOwnHost(host, own)) {
    return {
      message: 'the Host header names no host of this node',
      remedy: 'use its address, or add the name with --allowed-hosts',
    };
  }
  if (isNavigation(visit)) return undefined;
  const origin = one(visit.headers['origin']);
  if (origin !== undefined && !isOwnOrigin(origin, host, own)) {
    return {
      message: 'the Origin header is of another site',
      remedy: 'call the API from its own pages or from outside a browser',
    };
  }
  if (one(visit.headers['sec-fetch-site'])?.toLowerCase() === 'cross-site') {
    return {
      message: 'the request comes from a page of another site',
      remedy: 'call the API from its own pages or from outside a browser',
    };
  }
  return undefined;
}

/** Repeated headers are joined by node for most names; of an array only an unambiguous one counts. */
function one(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header.join(',') : header;
}

/** A link followed or an address typed, in a tab of its own: the one thing a foreign page may cause, and only for the pages. */
function isNavigation({ method, path, headers }: Visit): boolean {
  if (method !== 'GET' || !(path === '/' || path === '/ui' || path.startsWith('/ui/'))) return false;
  const destination = one(headers['sec-fetch-dest']);
  return (
    headers['sec-fetch-mode'] === 'navigate' &&
    (destination === undefined || destination === 'document') &&
    headers['origin'] === undefined
  );
}

const HOST = /^(\[[0-9a-f:.]+\]|[^:[\]/@?#\s]+)(?::(\d{1,5}))?$/;

interface HostPort {
  name: string;
  port: string;
}

function splitHost(host: string): HostPort | undefined {
  const match = HOST.exec(host.toLowerCase());
  return match === null ? undefined : { name: (match[1] ?? '').replace(/\.$/, ''), port: match[2] ?? '' };
}

function isOwnHost(host: string, own: OwnHosts): boolean {
  const split = splitHost(host);
  if (split === undefined) return false;
  const { name } = split;
  return (
    name === 'localhost' ||
    isIP(name.replace(/^\[|\]$/g, '')) !== 0 ||
    own.has(name) ||
    own.has(`${name}:${split.port}`)
  );
}

/**
 * The origin of our own pages: the same host and port as the request, whatever a TLS proxy did to the scheme; or a name given with
 * --allowed-hosts at its scheme's own port, for a proxy that rewrites Host. Another port of localhost is another site.
 */
function isOwnOrigin(origin: string, host: string | undefined, own: OwnHosts): boolean {
  const match = /^(https?):\/\/([^/?#\s]+)$/i.exec(origin);
  const from = match === null ? undefined : splitHost(match[2] ?? '');
  if (match === null || from === undefined) return false;
  const standard = (match[1] ?? '').toLowerCase() === 'https' ? '443' : '80';
  const fromPort = from.port === '' ? standard : from.port;
  const to = host === undefined ? undefined : splitHost(host);
  if (to !== undefined && to.name === from.name && (to.port === '' ? standard : to.port) === fromPort) return true;
  return (fromPort === standard && own.has(from.name)) || own.has(`${from.name}:${fromPort}`);
}
