/**
 * Dkron's options of things this version lacks. A value that means one node, or nothing at all, is accepted, so that a Dkron file of a
 * lone node works as it is; any other is named with "not in this version" before anything starts. Values: dkron.md §14.2.
 */

export interface DkronOption {
  readonly name: string;
  readonly bool?: true;
  /** Values that change nothing here, as text; a list or mapping is empty text when it is empty. `'*'` means any. */
  readonly harmless: readonly string[];
  /** What it is for and what to do instead; follows "<name>: not in this version: ". */
  readonly why: string;
}

const ALONE = 'this version runs one node alone';
const MAIL = 'notifications by mail';
const HOOK = 'notifications by webhook';
const SINK = 'only Prometheus metrics at /metrics';
const DISPATCH = 'retries of the way to other nodes; a job has its own "retries"';

function option(name: string, why: string, ...harmless: string[]): DkronOption {
  return { name, why, harmless: ['', ...harmless] };
}

function flag(name: string, why: string, ...harmless: string[]): DkronOption {
  return { name, why, harmless: ['', ...harmless], bool: true };
}

export const DKRON_OPTIONS: readonly DkronOption[] = [
  flag('server', `an agent without a server (${ALONE})`, 'true'),
  option('bootstrap-expect', `a cluster (${ALONE})`, '0', '1'),
  flag('bootstrap', ALONE, 'true', 'false'),
  flag('devmode', 'a state kept only in memory; give --data-dir a scratch directory', 'false'),
  flag('disable-usage-stats', 'there is no telemetry', '*'),
  option('join', ALONE),
  option('retry-join', ALONE),
  option('retry-max', ALONE, '0'),
  option('retry-interval', ALONE, '30s'),
  option('bind-addr', `gossip (${ALONE})`, '{{ GetPrivateIP }}:8946'),
  option('advertise-addr', `gossip (${ALONE})`),
  option('rpc-port', `the port between nodes (${ALONE})`, '6868'),
  option('advertise-rpc-port', `the port between nodes (${ALONE})`, '0'),
  option('profile', `gossip (${ALONE})`, 'lan'),
  option('encrypt', `gossip and its key (${ALONE})`),
  option('raft-multiplier', `Raft (${ALONE})`, '1'),
  option('serf-reconnect-timeout', `gossip (${ALONE})`, '24h'),
  option('reconcileinterval', ALONE, '60s', '1m', '60000000000'),
  option('mail-host', MAIL),
  option('mail-port', MAIL, '0'),
  option('mail-username', MAIL),
  option('mail-password', MAIL),
  option('mail-from', MAIL),
  option('mail-payload', MAIL),
  option('mail-subject-prefix', MAIL, '[Dkron]'),
  option('pre-webhook-endpoint', HOOK),
  option('pre-webhook-payload', HOOK),
  option('pre-webhook-headers', HOOK),
  option('webhook-endpoint', HOOK),
  option('webhook-payload', HOOK),
  option('webhook-headers', HOOK),
  option('webhook-url', HOOK),
  option('cronitor-endpoint', 'notifications to Cronitor'),
  option('dog-statsd-addr', SINK),
  option('dog-statsd-tags', SINK),
  option('statsd-addr', SINK),
  option('otel-endpoint', 'tracing'),
  option('agent-run-max-retries', DISPATCH, '3'),
  option('agent-run-retry-initial-interval', DISPATCH, '1s'),
  option('agent-run-retry-max-interval', DISPATCH, '30s'),
  option('acl', 'access control; see --auth-basic-file and --auth-token-file'),
  option('username', 'credentials in the options; see --auth-basic-file'),
  option('password', 'credentials in the options; see --auth-basic-file'),
  flag('auto-tls', 'certificates made by the node; see --tls-cert and --tls-key', 'false'),
  option('cert-file', 'TLS between nodes; for the API see --tls-cert'),
  option('key-file', 'TLS between nodes; for the API see --tls-key'),
  option('trusted-ca-file', 'TLS between nodes'),
  flag('client-cert-auth', 'TLS between nodes', 'false'),
  option('client-crl-file', 'TLS between nodes'),
  flag('disable-http-tls', 'TLS between nodes; the API has TLS only with --tls-cert', '*'),
  flag('fast', `another Raft log (${ALONE})`, 'false'),
  option('raft-duration', `Raft (${ALONE})`, '0', '-1', '1'),
  option('federation-mode', 'federation', 'active'),
  option('rqlited', `a supervised rqlite (${ALONE}); see --store-url`),
];

export const DKRON_OPTION_OF_NAME: ReadonlyMap<string, DkronOption> = new Map(
  DKRON_OPTIONS.map((known) => [known.name, known]),
);

/** True when the value changes nothing on a lone node. */
export function isHarmless(known: DkronOption, raw: unknown): boolean {
  if (known.harmless.includes('*')) return true;
  if (Array.isArray(raw)) return raw.every((item) => isHarmless(known, item));
  if (typeof raw === 'object' && raw !== null) return Object.keys(raw).length === 0;
  const text = ['string', 'number', 'boolean'].includes(typeof raw) ? String(raw).trim() : '';
  return known.harmless.includes(known.bool === true ? text.toLowerCase() : text);
}
