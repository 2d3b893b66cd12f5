// The API: where it listens, who may call it, how much it takes.
import { address, bool, bytes, list, text } from '../option.ts';

const since = '0.1.0';

export const HTTP_OPTIONS = {
  httpAddr: address({
    name: 'http-addr',
    group: 'HTTP',
    since,
    dkron: true,
    default: '127.0.0.1:8080',
    example: '127.0.0.1:18080',
    description:
      'Where the API listens. Any address but loopback needs --auth-basic-file or --auth-token-file, or --insecure-http.',
  }),
  authBasicFile: text({
    name: 'auth-basic-file',
    readsFile: true,
    group: 'HTTP',
    since,
    default: null,
    example: '/etc/belfry/users',
    description: 'File of user:password lines; the API then asks for HTTP basic credentials. /health needs none.',
  }),
  authTokenFile: text({
    name: 'auth-token-file',
    readsFile: true,
    group: 'HTTP',
    since,
    default: null,
    example: '/etc/belfry/tokens',
    description: 'File of bearer tokens, one a line; the API then asks for one of them. /health needs none.',
  }),
  insecureHttp: bool({
    name: 'insecure-http',
    group: 'HTTP',
    since,
    default: false,
    example: 'true',
    description:
      'Serve the API without credentials on an address others can reach. Whoever reaches it can run any command here.',
  }),
  tlsCert: text({
    name: 'tls-cert',
    readsFile: true,
    group: 'HTTP',
    since,
    default: null,
    example: '/etc/belfry/cert.pem',
    description: 'Certificate chain (PEM) of the API; together with --tls-key.',
  }),
  tlsKey: text({
    name: 'tls-key',
    readsFile: true,
    group: 'HTTP',
    since,
    default: null,
    example: '/etc/belfry/key.pem',
    description: 'Private key (PEM) of the API; together with --tls-cert.',
  }),
  allowedHosts: list({
    name: 'allowed-hosts',
    group: 'HTTP',
    since,
    example: 'cron.example.org',
    check: (host) => (/^[A-Za-z0-9._-]{1,253}$/.test(host) ? undefined : 'must be host names without scheme or port'),
    description:
      'Further host names this node answers to; others get 403, so that a foreign web page cannot reach it by a name of its own.',
  }),
  ui: bool({
    name: 'ui',
    group: 'HTTP',
    since,
    dkron: true,
    default: true,
    example: 'false',
    description: 'Serve the pages for people at / and /ui.',
  }),
  enablePrometheus: bool({
    name: 'enable-prometheus',
    group: 'HTTP',
    since,
    dkron: true,
    default: true,
    example: 'false',
    description: 'Serve the metrics at /metrics.',
  }),
  maxBodyBytes: bytes({
    name: 'max-body',
    group: 'HTTP',
    since,
    default: '1MiB',
    min: '1KiB',
    max: '64MiB',
    example: '4MiB',
    description: 'Largest request body; larger ones get 413.',
  }),
  maxRestoreBodyBytes: bytes({
    name: 'max-restore-body',
    group: 'HTTP',
    since,
    default: '256MiB',
    min: '1KiB',
    max: '16GiB',
    example: '1GiB',
    description: 'Largest body of POST /v1/restore.',
  }),
} as const;
