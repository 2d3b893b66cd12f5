// The commands as a person runs them: bin/belfry in a process of its own, in an empty directory and home.
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '..', '..');
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };

let cwd: string;
beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'belfry-cli-'));
});
afterEach(() => rmSync(cwd, { recursive: true, force: true }));

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** A clean environment with a Node-less PATH: the launcher finds its own Node. */
function belfry(
  args: readonly string[],
  env: Record<string, string> = {},
  file = join(root, 'bin', 'belfry'),
): Promise<Ended> {
  return new Promise((done) => {
    const options = { cwd, env: { PATH: '/usr/bin:/bin', HOME: cwd, TZ: 'UTC', ...env } };
    const child = execFile(file, args, options, (_error, out, err) => done({ code: child.exitCode, out, err }));
  });
}

function write(path: string, text: string): string {
  const file = join(cwd, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  return file;
}

describe('belfry', () => {
  test('help says what there is, with examples', async () => {
    const { code, out, err } = await belfry(['--help']);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    for (const word of ['agent', 'config', 'schedule', 'backup', 'version', 'Examples:']) expect(out).toContain(word);
  });

  test('every command has help with examples', async () => {
    const commands = [
      ['agent'],
      ['config', 'check'],
      ['config', 'show'],
      ['schedule', 'explain'],
      ['backup', 'create'],
      ['backup', 'verify'],
      ['backup', 'restore'],
    ];
    for (const command of commands) {
      const { code, out } = await belfry([...command, '--help']);
      expect(code, command.join(' ')).toBe(0);
      expect(out).toMatch(
        new RegExp(`Usage: belfry ${command.join(' ')}[\\s\\S]*Examples:\\n {2}belfry ${command.join(' ')}`),
      );
    }
  });

  test('version, however asked for', async () => {
    for (const args of [['version'], ['--version'], ['-v']])
      expect(await belfry(args)).toEqual({ code: 0, out: `${version}\n`, err: '' });
  });

  test('an unknown word is a usage error with the nearest one', async () => {
    const { code, out, err } = await belfry(['agnt']);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toBe('belfry: unknown command \'agnt\' (Did you mean agent?)\n  See "belfry --help".\n');
    expect((await belfry(['config'])).code).toBe(2);
    expect((await belfry(['schedule', 'explain'])).code).toBe(2);
  });

  test('the launcher works through a symbolic link', async () => {
    const link = join(cwd, 'linked');
    symlinkSync(join(root, 'bin', 'belfry'), link);
    expect((await belfry(['version'], {}, link)).out).toBe(`${version}\n`);
  });
});

describe('belfry agent refuses before anything starts', () => {
  test('every problem at once, exit 2, nothing created', async () => {
    const { code, out, err } = await belfry(['agent', '--htp-addr', 'x', '--max-runs', '0', 'stray'], {
      BELFRY_LOG_LEVL: 'x',
    });
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err.match(/^belfry: /gm)).toHaveLength(4);
    expect(err).toContain('Did you mean --http-addr?');
    expect(err).toContain('Did you mean BELFRY_LOG_LEVEL?');
    expect(err).not.toContain('    at ');
  });
});

describe('belfry config', () => {
  test('files that options name are looked at before anything starts', async () => {
    const flags = [
      '--tls-cert',
      '/nowhere.pem',
      '--tls-key',
      write('key.pem', 'x'),
      '--auth-token-file',
      '/nowhere/tokens',
    ];
    const { code, err } = await belfry(['agent', ...flags]);
    expect(code).toBe(2);
    expect(err).toContain('belfry: --tls-cert: cannot read /nowhere.pem (ENOENT)\n  Name a file');
    expect(err).toContain('belfry: --auth-token-file: cannot read /nowhere/tokens (ENOENT)');
    expect(err.match(/^belfry: /gm)).toHaveLength(2);
  });

  test('files: the named one, else the first of the usual places', async () => {
    write('config/belfry.yml', 'node-name: from-here\n');
    expect((await belfry(['config', 'show'])).out).toContain('node-name: "from-here"');
    write('.belfry/belfry.json', '{"node-name": "from-home"}');
    expect((await belfry(['config', 'show'])).out).toContain('node-name: "from-home"');
    const named = write('dkron.yml', 'server: true\nbootstrap-expect: 1\nnode-name: named\ntags:\n  role: web\n');
    const { out } = await belfry(['config', 'show', '--origin', '--config', named]);
    expect(out).toMatch(/^node-name: "named" +# .*dkron\.yml: node-name$/m);
    expect((await belfry(['config', 'show'], { BELFRY_CONFIG: named })).out).toContain('node-name: "named"');
  });

  test.each([
    ['dkron.toml', 'server = true', /"\.toml" files cannot be read\n {2}Write it as YAML/],
    ['bad.yml', 'a: [1', /bad\.yml: /],
    ['bad.json', '{"a":', /bad\.json: /],
    ['list.yml', '- a\n- b\n', /must be a mapping/],
    ['large.yml', `# ${'x'.repeat(1024 * 1024)}`, /larger than 1 MiB/],
    [
      'alias.yml',
      `a: &a [x]\n${Array.from({ length: 12 }, (_, i) => `b${i}: &b${i} [${`*${i === 0 ? 'a' : `b${i - 1}`},`.repeat(10)}]`).join('\n')}\n`,
      /alias/i,
    ],
  ])('%s is refused with its cause', async (name, text, message) => {
    const { code, err } = await belfry(['config', 'check', '--config', write(name, text)]);
    expect(code).toBe(2);
    expect(err).toMatch(message);
    expect(err).not.toContain('    at ');
  });

  test('a file that is not there is a problem, an empty one is not', async () => {
    const { code, err } = await belfry(['config', 'check', '--config', '/nowhere.yml']);
    expect(code).toBe(2);
    expect(err).toMatch(/^belfry: \/nowhere\.yml: ENOENT.*\n {2}.*\n$/);
    for (const name of ['empty.yml', 'empty.json'])
      expect((await belfry(['config', 'check', '--config', write(name, '')])).code).toBe(0);
  });

  test('what show prints is a configuration file that means the same; secrets are left out', async () => {
    const flags = [
      '--tag',
      'a=1',
      '--tag',
      'b=two words',
      '--job-env',
      'X,Y',
      '--max-body',
      '3KiB',
      '--store-url',
      'http://user:pw@127.0.0.1:1',
    ];
    const first = await belfry(['config', 'show', ...flags]);
    expect(first.out).toContain('store-url: "(redacted)"');
    const copied = write('copied.yml', first.out.replace(/^store-url.*$/m, ''));
    const second = await belfry(['config', 'show', '--config', copied]);
    expect(second.out.replace(/^store-url.*$/m, '')).toBe(first.out.replace(/^store-url.*$/m, ''));
  });
});

describe('belfry schedule explain', () => {
  test('words and times', async () => {
    const { code, out } = await belfry(['schedule', 'explain', '30 2 * * 1-5', '--tz', 'Europe/Madrid', '-n', '3']);
    expect(code).toBe(0);
    expect(out.trim().split('\n')).toHaveLength(4);
    expect(out).toMatch(/02:30:00\+0[12]:00/);
  });

  test('what is wrong, and where', async () => {
    const { code, out, err } = await belfry(['schedule', 'explain', '99 * * * *']);
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err).toMatch(/^belfry: .*99.*\n {2}99 \* \* \* \*\n {2}\^\n/);
    expect((await belfry(['schedule', 'explain', '* * * * *', '-n', '0'])).code).toBe(2);
    expect((await belfry(['schedule', 'explain', '* * * * *', '--tz', 'Mars'])).code).toBe(1);
    expect((await belfry(['schedule', 'explain', 'x'.repeat(100_000)])).code).toBe(1);
  });
});
