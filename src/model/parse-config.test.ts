import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { OPTION_LIST, OPTIONS } from './config.ts';
import { DKRON_OPTIONS } from './dkron-options.ts';
import { envName } from './option.ts';
import { type ConfigSources, parseConfig } from './parse-config.ts';

const NOTHING: ConfigSources = { flags: [], env: {}, file: null, nodeName: 'host-1' };

const flags = (...pairs: [string, string][]): ConfigSources => ({
  ...NOTHING,
  flags: pairs.map(([name, value]) => ({ name, value })),
});
const env = (variables: Record<string, string>): ConfigSources => ({ ...NOTHING, env: variables });
const file = (data: unknown): ConfigSources => ({ ...NOTHING, file: { path: 'belfry.yml', data } });

function configOf(sources: ConfigSources) {
  const parsed = parseConfig(sources);
  if (!parsed.ok) throw new Error(parsed.problems.map(({ message }) => message).join('\n'));
  return parsed.config;
}

function problemsOf(sources: ConfigSources): string[] {
  const parsed = parseConfig(sources);
  return parsed.ok ? [] : parsed.problems.map(({ message, remedy }) => `${message} / ${remedy}`);
}

describe('sources', () => {
  test('nothing given: the defaults, loopback and open', () => {
    const parsed = parseConfig(NOTHING);
    expect(parsed).toMatchObject({ ok: true, notices: [] });
    expect(configOf(NOTHING)).toMatchObject({
      nodeName: 'host-1',
      httpAddr: { host: '127.0.0.1', port: 8080 },
      dataDir: 'belfry.data',
      enablePrometheus: true,
      maxRuns: 500,
      misfireGraceMs: 60_000,
      startDeadlineMs: null,
      logBytesPerRun: 64 * 1024 * 1024,
      timezone: null,
    });
  });

  test('a flag goes before the environment, that before the file, that before the default', () => {
    const all = { flags: [{ name: 'max-runs', value: '1' }], env: { BELFRY_MAX_RUNS: '2' }, nodeName: 'h' };
    const three = { path: 'belfry.yml', data: { 'max-runs': 3 } };
    const where = (sources: ConfigSources) => {
      const parsed = parseConfig(sources);
      return parsed.ok ? [parsed.config.maxRuns, parsed.origins.maxRuns] : parsed.problems;
    };
    expect(where({ ...all, file: three })).toEqual([1, '--max-runs']);
    expect(where({ ...all, flags: [], file: three })).toEqual([2, 'BELFRY_MAX_RUNS']);
    expect(where({ ...NOTHING, file: three })).toEqual([3, 'belfry.yml: max-runs']);
    expect(where(NOTHING)).toEqual([500, 'default']);
  });

  test('the last of a repeated flag wins; lists and maps add up', () => {
    const config = configOf(
      flags(
        ['max-runs', '1'],
        ['max-runs', '2'],
        ['tag', 'a=1'],
        ['tag', 'b=two words'],
        ['job-env', 'A,B'],
        ['job-env', 'C'],
      ),
    );
    expect(config.maxRuns).toBe(2);
    expect({ ...config.tags }).toEqual({ a: '1', b: 'two words' });
    expect(config.jobEnv).toEqual(['A', 'B', 'C']);
  });

  test('several tags by the environment: blanks separate, a comma is part of the value', () => {
    expect({ ...configOf(env({ BELFRY_TAG: 'pool=web  disk=ssd,nvme' })).tags }).toEqual({
      pool: 'web',
      disk: 'ssd,nvme',
    });
    expect({ ...configOf(env({ BELFRY_TAGS: '{"pool": "two words"}' })).tags }).toEqual({ pool: 'two words' });
  });

  test('tags the node sets itself are refused by name, from every source', () => {
    const all = 'role, dc, region, version, server, expect, port, rpc_addr, node';
    expect(problemsOf(flags(['tag', 'role=web'], ['tag', 'pool=web']))).toEqual([
      `--tag: "role" is a tag the node sets itself (${all}); choose another name / For example pool=web. See "belfry agent --help".`,
    ]);
    expect(problemsOf(env({ BELFRY_TAG: 'dc=x rpc_addr=y' }))[0]).toContain('"dc", "rpc_addr" are tags');
    for (const name of all.split(', ')) expect(problemsOf(file({ tags: { [name]: 'x' } }))).toHaveLength(1);
    expect(configOf(flags(['tag', 'roles=web'])).tags['roles']).toBe('web');
  });

  test('tags in each of their forms', () => {
    const forms: ConfigSources[] = [
      flags(['tag', 'a=1'], ['tag', 'b=x=y']),
      env({ BELFRY_TAG: 'a=1 b=x=y' }),
      env({ BELFRY_TAGS: '{"a": 1, "b": "x=y"}' }),
      file({ tags: { a: 1, b: 'x=y' } }),
      file({ tag: ['a=1', 'b=x=y'] }),
      // As in Dkron, `tag` makes `tags` of the same source ignored, in either order.
      file({ tag: ['a=1', 'b=x=y'], tags: { c: 'd' } }),
      file({ tags: { c: 'd' }, tag: ['a=1', 'b=x=y'] }),
    ];
    for (const sources of forms) expect({ ...configOf(sources).tags }).toEqual({ a: '1', b: 'x=y' });
  });

  test('an empty variable is not set; an empty value in a file clears what may be empty', () => {
    expect(configOf(env({ BELFRY_MAX_RUNS: '', BELFRY_TIMEZONE: '' }))).toMatchObject({ maxRuns: 500, timezone: null });
    expect(configOf(file({ timezone: '', 'max-runs': null }))).toMatchObject({ timezone: null, maxRuns: 500 });
  });

  test("a file's keys are read without regard to letter case, as Dkron's", () => {
    expect(configOf(file({ 'Node-Name': 'n' })).nodeName).toBe('n');
    expect(problemsOf(file({ 'Node-Name': 'n', 'node-name': 'm' }))).toEqual([
      'belfry.yml: node-name: written twice / Keep one of them.',
    ]);
  });
});

describe('what is wrong is named, all at once', () => {
  test('unknown names, with the nearest', () => {
    expect(problemsOf(flags(['htp-addr', 'x'], ['zzz', '']))).toEqual([
      '--htp-addr: unknown option / Did you mean --http-addr?',
      '--zzz: unknown option / See "belfry agent --help" for the options.',
    ]);
    expect(problemsOf(env({ BELFRY_MAX_RUN: '1' }))).toEqual([
      'BELFRY_MAX_RUN: unknown option / Did you mean BELFRY_MAX_RUNS?',
    ]);
    expect(problemsOf(file({ data_dir: '/x' }))).toEqual([
      'belfry.yml: data_dir: unknown option / Did you mean data-dir?',
    ]);
    expect(problemsOf(file(JSON.parse('{"__proto__": 1, "constructor": 2}')))).toHaveLength(2);
  });

  test.each([
    ['max-runs', ['0', '-3', '1.5', 'many', '99999999999999999999', 'NaN', '']],
    ['http-addr', ['8080', 'localhost', '127.0.0.1:99999', '[::1:80', 'http://a:1', '{{ GetPrivateIP }}:8080', '']],
    ['timezone', ['Mars/Olympus', 'Europe/Madird', '+02:00', '../../etc/passwd']],
    ['drain-timeout', ['10', '10 minutes', '-1s', '8d', '']],
    ['max-body', ['-1', 'big', '1PiB', '1', '9999999999GiB']],
    ['log-level', ['loud', 'informational']],
    ['drain', ['perhaps', '2']],
    ['tag', ['a', '=b', '{"a"', '{"a": {"b": 1}}']],
    ['job-env', ['A-B', 'BELFRY_JOB', '1A']],
    ['allowed-hosts', ['https://x', 'a:80', '*']],
    ['node-name', ['', 'a b', 'a/b', 'é', 'x'.repeat(129)]],
    ['store-url', ['redis://x', 'nonsense']],
    ['data-dir', ['', '~', '~/belfry', 'a\0b', 'x'.repeat(5000)]],
  ])('--%s refuses what it must', (name, values) => {
    for (const value of values) {
      const problems = problemsOf({ ...flags([name, value]), flags: [{ name, value }] });
      expect(problems, JSON.stringify(value).slice(0, 80)).toHaveLength(1);
      expect(problems[0]).toMatch(new RegExp(`^--${name}: `));
    }
  });

  test('a boolean names where it stands and what it takes, in every source', () => {
    const words = { yes: true, on: true, '1': true, TRUE: true, no: false, Off: false, '0': false, F: false };
    for (const [word, value] of Object.entries(words)) {
      for (const sources of [env({ BELFRY_DRAIN: word }), file({ drain: word }), flags(['drain', word])])
        expect(parseConfig(sources)).toMatchObject({ ok: true, config: { drain: value } });
    }
    const allowed = 'must be true or false (or yes, no, on, off, 1, 0)';
    expect(problemsOf(env({ BELFRY_DRAIN: 'y' }))[0]).toContain(`BELFRY_DRAIN: ${allowed}`);
    expect(problemsOf(file({ drain: 'y' }))[0]).toContain(`belfry.yml: drain: ${allowed}`);
    expect(problemsOf(flags(['drain', '']))[0]).toContain(`--drain: ${allowed}`);
    expect(parseConfig(env({ BELFRY_DRAIN: '' }))).toMatchObject({ ok: true, config: { drain: false } });
  });

  test.each([
    ['127.0.0.1', 'has no port number'],
    ['127.0.0.1:70000', 'ports go up to 65535'],
    ['8080', 'for this machine alone write "127.0.0.1:8080"'],
    ['::1:8080', 'an IPv6 address stands in brackets'],
    ['http://127.0.0.1:8080', 'without "http://"'],
  ])('what is wrong with the address %s', (address, words) => {
    expect(problemsOf(flags(['http-addr', address]))[0]).toContain(words);
  });

  test('near words are suggested', () => {
    expect(problemsOf(flags(['timezone', 'Europe/Madird']))[0]).toContain('did you mean "Europe/Madrid"?');
    expect(problemsOf(flags(['log-level', 'wran']))[0]).toContain('did you mean "warn"?');
  });

  test('wrong types in a file', () => {
    expect(problemsOf(file({ 'max-runs': [1], 'node-name': {}, drain: 'x', tags: 3, 'job-env': [{}] }))).toHaveLength(
      5,
    );
    for (const data of [[], 'text', 3, true]) expect(problemsOf(file(data))).toHaveLength(1);
  });

  test('every source at once', () => {
    const wrong = { flags: [{ name: 'max-runs', value: 'x' }], env: { BELFRY_DRAIN: 'x' }, nodeName: 'h' };
    expect(problemsOf({ ...wrong, file: { path: 'f.yml', data: { foo: 1, 'log-age': 'x' } } })).toHaveLength(4);
  });
});

describe('rules over several options', () => {
  test('a reachable address needs credentials or --insecure-http', () => {
    for (const address of [':8080', '0.0.0.0:80', '[::]:80', 'example.org:80', '192.168.1.2:8080']) {
      expect(problemsOf(flags(['http-addr', address]))[0]).toMatch(/can be reached by others.*--auth-basic-file/);
      expect(problemsOf(flags(['http-addr', address], ['auth-token-file', '/t']))).toEqual([]);
      expect(problemsOf(flags(['http-addr', address], ['insecure-http', 'true']))).toEqual([]);
    }
    for (const address of ['127.0.0.1:0', '127.9.9.9:80', '[::1]:80', 'localhost:80']) {
      expect(problemsOf(flags(['http-addr', address]))).toEqual([]);
    }
  });

  test('TLS is no credential, and its lack is a notice', () => {
    expect(problemsOf(flags(['http-addr', ':1'], ['tls-cert', 'c'], ['tls-key', 'k']))).toHaveLength(1);
    expect(parseConfig(flags(['http-addr', ':1'], ['auth-basic-file', 'f']))).toMatchObject({
      ok: true,
      notices: [expect.stringContaining('no TLS')],
    });
  });

  test('certificate and key go together', () => {
    expect(problemsOf(flags(['tls-cert', 'c']))).toEqual([
      '--tls-cert: needs --tls-key as well / Add --tls-key, or remove --tls-cert.',
    ]);
    expect(problemsOf(flags(['tls-key', 'k']))).toHaveLength(1);
  });
});

describe("Dkron's options", () => {
  test('those that mean one node are accepted with a notice', () => {
    const lone = file({
      server: true,
      'bootstrap-expect': 1,
      ui: true,
      'disable-usage-stats': true,
      'retry-join': [],
      encrypt: '',
    });
    expect(parseConfig(lone)).toMatchObject({ ok: true });
  });

  test('the others are named before anything starts', () => {
    const cluster = flags(['bootstrap-expect', '3'], ['join', '10.0.0.1'], ['server', 'false'], ['mail-host', 'smtp']);
    expect(problemsOf(cluster)).toHaveLength(4);
    for (const problem of problemsOf(cluster)) expect(problem).toContain('not in this version');
  });

  test('every one refuses a value that asks for something, and accepts an empty one', () => {
    for (const { name, harmless } of DKRON_OPTIONS) {
      expect(problemsOf(flags([name, 'something-else'])), name).toHaveLength(harmless.includes('*') ? 0 : 1);
      expect(problemsOf(flags([name, ''])), name).toEqual([]);
    }
  });

  test('no name is both ours and absent', () => {
    const ours = new Set(OPTION_LIST.map(([, option]) => option.name));
    expect(DKRON_OPTIONS.filter(({ name }) => ours.has(name))).toEqual([]);
  });

  test('DKRON_ variables are not read, which is said', () => {
    const parsed = parseConfig(env({ DKRON_HTTP_ADDR: ':1', DKRON_FOO: 'x', HOME: '/h' }));
    expect(parsed).toMatchObject({
      ok: true,
      notices: ['DKRON_HTTP_ADDR is not read; the name here is BELFRY_HTTP_ADDR.'],
    });
  });

  test("variables of a job's environment and of Kubernetes are not ours", () => {
    const foreign = {
      BELFRY_JOB: 'x',
      BELFRY_SCHEDULED_AT: 'x',
      BELFRY_SERVICE_HOST: '10.0.0.1',
      BELFRY_SERVICE_PORT_HTTP: '80',
      BELFRY_PORT: 'tcp://10.0.0.1:80',
      BELFRY_PORT_80_TCP_ADDR: '10.0.0.1',
    };
    expect(problemsOf(env(foreign))).toEqual([]);
    expect(problemsOf(env({ BELFRY_PORT: '80' }))).toHaveLength(1);
  });
});

describe('the list', () => {
  test('every default and example is accepted by its own option, and shown values read back', () => {
    for (const [field, option] of OPTION_LIST) {
      expect(option.read(option.example), option.name).toMatchObject({ ok: true });
      if (field === 'nodeName') continue;
      expect(option.read(option.show(option.default)), option.name).toEqual({ ok: true, value: option.default });
    }
  });

  test('names are kebab case and unique, examples differ from defaults', () => {
    const names = OPTION_LIST.map(([, option]) => option.name);
    expect(new Set(names).size).toBe(names.length);
    for (const [, option] of OPTION_LIST) {
      expect(option.name).toMatch(/^[a-z]+(-[a-z]+)*$/);
      expect(option.description).toMatch(/\.$/);
      expect(option.example, option.name).not.toBe(option.show(option.default));
    }
  });

  test('a default that is not there is shown as nothing', () => expect(OPTIONS.timezone.show(null)).toBe(''));
});

test('any input is answered, never thrown at', () => {
  const name = fc.oneof(
    fc.constantFrom(...OPTION_LIST.map(([, option]) => option.name), ...DKRON_OPTIONS.map((known) => known.name)),
    fc.string(),
  );
  const value = fc.oneof(
    fc.string(),
    fc.string({ unit: 'binary' }),
    fc.constantFrom('0', '1h', '1GiB', ':8080', 'true', 'a=b'),
  );
  const sources = fc.record({
    flags: fc.array(fc.record({ name, value }), { maxLength: 5 }),
    env: fc.dictionary(fc.oneof(name.map(envName), fc.string()), fc.option(value, { nil: undefined }), { maxKeys: 5 }),
    file: fc.option(
      fc.record({
        path: fc.string(),
        data: fc.oneof(fc.dictionary(name, fc.oneof(value, fc.anything())), fc.anything()),
      }),
    ),
    nodeName: fc.constant('h'),
  });
  fc.assert(
    fc.property(sources, (given) => {
      const parsed = parseConfig(given);
      if (!parsed.ok)
        return (
          parsed.problems.length > 0 && parsed.problems.every(({ message, remedy }) => message !== '' && remedy !== '')
        );
      return Object.keys(OPTIONS).every((field) => field in parsed.config && field in parsed.origins);
    }),
    { numRuns: 2000 },
  );
});
