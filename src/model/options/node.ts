// The node itself: its name, its directory, its log, its store.
import { bytes, map, oneOf, text } from '../option.ts';

const since = '0.1.0';

/** Tags a node gives itself: Dkron's reserved ones. What is configured under these names would be overwritten. */
const OWN_TAGS = ['role', 'dc', 'region', 'version', 'server', 'expect', 'port', 'rpc_addr'] as const;
export type OwnTag = (typeof OWN_TAGS)[number];
/** In a job's tags `node` stands for the node's name. */
const RESERVED_TAGS: readonly string[] = [...OWN_TAGS, 'node'];

export const NODE_OPTIONS = {
  configFile: text({
    name: 'config',
    readsFile: true,
    group: 'Node',
    since,
    dkron: true,
    default: null,
    example: '/etc/belfry/belfry.yml',
    description:
      'Configuration file, YAML or JSON; a Dkron file works. Without it the first that exists of belfry.yml, belfry.yaml and belfry.json in /etc/belfry, $HOME/.belfry and ./config.',
  }),
  nodeName: text({
    name: 'node-name',
    group: 'Node',
    since,
    dkron: true,
    default: '',
    defaultText: "the host's name",
    example: 'backup-1',
    constraint: '1 to 128 letters, digits, dots, dashes or underscores',
    check: (name) =>
      /^[A-Za-z0-9._-]{1,128}$/.test(name)
        ? undefined
        : 'must be 1 to 128 letters, digits, dots, dashes or underscores',
    description: 'Name of this node in the records of what ran where. Keep it for the life of a data directory.',
  }),
  dataDir: text({
    name: 'data-dir',
    group: 'Node',
    since,
    dkron: true,
    default: 'belfry.data',
    example: '/var/lib/belfry',
    check: (path) =>
      /^~(\/|$)/.test(path)
        ? 'begins with "~", which only a shell puts the home directory for: write it out'
        : undefined,
    description: 'Directory of the database, the spool and the logs; created if missing. One node per directory.',
  }),
  tags: map({
    name: 'tag',
    aliases: ['tags'],
    group: 'Node',
    since,
    dkron: true,
    example: 'pool=web',
    constraint: `not the node's own: ${RESERVED_TAGS.join(', ')}`,
    check: reservedProblem,
    description:
      'Tags of this node that jobs can ask for, as key=value; may be repeated. In the environment several are separated by blanks (BELFRY_TAG="pool=web disk=ssd") and a comma is part of the value; for values with blanks write a JSON object. In a file also as a mapping under "tags".',
  }),
  datacenter: text({
    name: 'datacenter',
    group: 'Node',
    since,
    dkron: true,
    default: 'dc1',
    example: 'madrid',
    description: 'Shown to clients as the tag "dc" of this node.',
  }),
  region: text({
    name: 'region',
    group: 'Node',
    since,
    dkron: true,
    default: 'global',
    example: 'eu',
    description: 'Shown to clients as the tag "region" of this node.',
  }),
  diskReserveBytes: bytes({
    name: 'disk-reserve',
    group: 'Node',
    since,
    default: '32MiB',
    min: '1MiB',
    max: '16GiB',
    example: '128MiB',
    description: 'Room kept back on the disk so that the results of running jobs can be stored when the disk is full.',
  }),
  logLevel: oneOf({
    name: 'log-level',
    group: 'Logging',
    since,
    dkron: true,
    default: 'info',
    example: 'debug',
    values: ['trace', 'debug', 'info', 'warn', 'error', 'fatal'],
    synonyms: { warning: 'warn', panic: 'fatal' },
    description: 'Least severe lines written.',
  }),
  logFormat: oneOf({
    name: 'log-format',
    group: 'Logging',
    since,
    default: 'auto',
    values: ['auto', 'json', 'pretty'],
    example: 'json',
    description: 'auto: for people on a terminal, JSON lines elsewhere.',
  }),
  storeUrl: text({
    name: 'store-url',
    group: 'Store',
    since,
    default: null,
    redact: true,
    example: 'http://127.0.0.1:4001',
    constraint: 'an http or https URL',
    check: urlProblem,
    description: 'Keep the state in this rqlite instead of SQLite in the data directory.',
  }),
} as const;

function reservedProblem(keys: readonly string[]): string | undefined {
  const taken = [...new Set(keys)].filter((key) => RESERVED_TAGS.includes(key)).map((key) => `"${key}"`);
  if (taken.length === 0) return undefined;
  const what = taken.length === 1 ? 'is a tag' : 'are tags';
  return `${taken.join(', ')} ${what} the node sets itself (${RESERVED_TAGS.join(', ')}); choose another name`;
}

function urlProblem(url: string): string | undefined {
  return /^https?:$/.test(URL.parse(url)?.protocol ?? '') ? undefined : 'must be an http or https URL';
}
