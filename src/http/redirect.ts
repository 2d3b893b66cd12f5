// Where a path with one slash too many or too few belongs (Dkron's router redirects both).
import type { Route } from './route.ts';

/** The URL to go to, query kept, when exactly a trailing slash keeps it from a route of this method; else undefined. */
export function redirectOf(method: string, url: string, routes: readonly Route[]): string | undefined {
  const [path, query] = split(url);
  // "//host/…" as a target would leave this node.
  if (path === '/' || path.startsWith('//')) return undefined;
  const other = path.endsWith('/') ? path.slice(0, -1) : `${path}/`;
  const wanted = method === 'HEAD' ? 'GET' : method;
  const found = routes.some((route) => route.method === wanted && matches(route.path, other));
  return found ? `${other}${query}` : undefined;
}

function split(url: string): [string, string] {
  const at = url.indexOf('?');
  return at < 0 ? [url, ''] : [url.slice(0, at), url.slice(at)];
}

function matches(pattern: string, path: string): boolean {
  const [expected, given] = [pattern.split('/'), path.split('/')];
  return (
    expected.length === given.length &&
    expected.every((segment, i) => (segment.startsWith(':') ? given[i] !== '' : segment === given[i]))
  );
}
