// The commands as a person runs them: bin/belfry in a process of its own, in an empty directory and home.
import { execFile, execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { skipUnless } from '../kit/skip.ts';

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

  test('help that is asked for goes to stdout, help that is needed to stderr', async () => {
    const [asked, needed] = [await belfry(['help']), await belfry([])];
    expect(asked).toMatchObject({ code: 0, err: '' });
    expect(needed).toEqual({ code: 2, out: '', err: asked.out });
    expect(await belfry(['help', 'backup', 'restore'])).toEqual(await belfry(['backup', 'restore', '--help']));
    expect(await belfry(['help', 'backup', 'restroe'])).toEqual({
      code: 2,
      out: '',
      err: 'belfry: unknown command \'restroe\' (Did you mean restore?)\n  See "belfry backup --help".\n',
    });
  });

  test('what is misused says where its own help is', async () => {
    expect((await belfry(['backup', 'restore', 'x', '--data-dri', 'y'])).err).toBe(
      'belfry: unknown option \'--data-dri\' (Did you mean --data-dir?)\n  See "belfry backup restore --help".\n',
    );
    const { code, err } = await belfry(['--http-addr', '127.0.0.1:1']);
    expect(code).toBe(2);
    expect(err).toMatch(/^belfry: unknown option '--http-addr'\n {2}Options follow a command, as in "belfry agent --/);
    for (const verb of ['create', 'verify', 'restore'])
      expect(await belfry(['backup', verb, ''])).toMatchObject({
        code: 2,
        err: expect.stringMatching(/is empty\.\n {2}See/),
      });
  });

  test('a restore makes no directory that nobody named, and none for rqlite', async () => {
    const { code, err } = await belfry(['backup', 'restore', write('x', 'x')]);
    expect(code).toBe(1);
    expect(err).toMatch(
      /There is no data directory .*belfry\.data\. Nothing was changed\.\n {2}Name the one to restore into/,
    );
    expect(existsSync(join(cwd, 'belfry.data'))).toBe(false);
    const elsewhere = await belfry(['backup', 'create'], { BELFRY_STORE_URL: 'http://127.0.0.1:1' });
    expect(elsewhere).toMatchObject({ code: 2, err: expect.stringMatching(/^belfry: BELFRY_STORE_URL: .*rqlite/) });
  });

  test('a working directory that is gone is said, without a stack', async () => {
    const script = 'mkdir gone && cd gone && rmdir ../gone && exec "$0" backup verify x 2>&1';
    const { code, out } = await belfry(['-c', script, join(root, 'bin', 'belfry')], {}, '/bin/sh');
    expect(code).toBe(1);
    expect(out).toMatch(/belfry: the working directory is gone\n {2}Change to one that exists\.\n$/);
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

describe('files that options name, read before anything starts', () => {
  /** What agent and config check both say; nothing may be created. */
  async function refused(flags: readonly string[]): Promise<string> {
    const data = join(cwd, 'data');
    const started = await belfry(['agent', '--data-dir', data, '--http-addr', '127.0.0.1:0', ...flags]);
    const checked = await belfry(['config', 'check', ...flags]);
    expect({ agent: started.code, check: checked.code, out: started.out + checked.out }).toEqual({
      agent: 2,
      check: 2,
      out: '',
    });
    expect(checked.err).toBe(started.err);
    expect(started.err).not.toMatch(/^\s+at |secret/m);
    expect(existsSync(data)).toBe(false);
    return started.err;
  }

  test('credentials: option, path, line and remedy, never the content', async () => {
    const tokens = write('tokens', 'good-token-0123456789\nmy-secret\n');
    expect(await refused(['--auth-token-file', tokens])).toMatch(
      /^belfry: --auth-token-file: .*\/tokens: line 2 is not a token of at least 16 .*\n {2}Write one token a line/,
    );
    const users = write('users', 'my-secret\n');
    expect(await refused(['--auth-basic-file', users])).toMatch(
      /^belfry: --auth-basic-file: .*\/users: line 1 is not user:password\n {2}Write one user:password a line/,
    );
    expect(await refused(['--auth-basic-file', cwd])).toMatch(/--auth-basic-file: cannot read .* \(EISDIR\)/);
  });

  test('a certificate or key that is no PEM: both named', async () => {
    const [cert, key] = [write('cert.pem', 'my-secret'), write('key.pem', '')];
    const said = await refused(['--tls-cert', cert, '--tls-key', key]);
    expect(said).toMatch(/^belfry: --tls-cert: .*cert\.pem holds no usable PEM certificate .*\n {2}Name the file/);
    expect(said).toMatch(/^belfry: --tls-key: .*key\.pem holds no usable PEM private key .*\n {2}Name the file/m);
  });

  const openssl = spawnSync('openssl', ['version']).status === 0;
  skipUnless(openssl, 'no openssl command')('with openssl', () => {
    const pair = (name: string, ...kind: string[]): [string, string] => {
      const [cert, key] = [join(cwd, `${name}.pem`), join(cwd, `${name}.key`)];
      const args = ['req', '-x509', '-nodes', '-days', '2', '-subj', '/CN=x', '-keyout', key, '-out', cert];
      execFileSync('openssl', [...args, '-newkey', ...kind], { stdio: 'ignore' });
      return [cert, key];
    };

    test('a key of another certificate, of the same kind and of another', async () => {
      const ec = ['ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];
      const [cert, key] = pair('own', ...ec);
      for (const [, other] of [pair('ec', ...ec), pair('rsa', 'rsa:2048')])
        expect(await refused(['--tls-cert', cert, '--tls-key', other])).toBe(
          `belfry: --tls-key: ${other} is not the key of the certificate in ${cert}\n  Name the key the certificate was made for; the first certificate of the chain must be the node’s own.\n`,
        );
      expect((await belfry(['config', 'check', '--tls-cert', cert, '--tls-key', key])).code).toBe(0);
    });
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
    const named = write('dkron.yml', 'server: true\nbootstrap-expect: 1\nnode-name: named\ntags:\n  pool: web\n');
    const { out } = await belfry(['config', 'show', '--origin', '--config', named]);
    expect(out).toMatch(/^node-name: "named" +# .*dkron\.yml: node-name$/m);
    expect((await belfry(['config', 'show'], { BELFRY_CONFIG: named })).out).toContain('node-name: "named"');
  });

  test.each([
    ['dkron.toml', 'server = true', /"\.toml" files cannot be read\n {2}Write it as YAML/],
    ['bad.yml', 'a: [1', /bad\.yml: /],
    ['bad.json', '{"a":', /bad\.json: /],
    ['list.yml', '- a\n- b\n', /must be a mapping/],
    ['twice.json', '{"drain": true,\n"drain": false}', /the key "drain" is written again at line 2, column 1\n/],
    ['twice.yml', 'tags:\n  a: 1\n  a: 2\n', /a key is written again at line 3, column 3\n/],
    ['two.yml', 'drain: true\n---\ndrain: false\n', /a second document begins at line 2/],
    [
      'secret.json',
      '{"store-url": http://me:my-secret@x}',
      /^(?!.*my-secret).*expected a value at line 1, column 15\n/s,
    ],
    ['open.yml', 'http-addr: 0.0.0.0:1\n', /open\.yml: http-addr: 0\.0\.0\.0:1 can be reached by others/],
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
    expect(err).toMatch(/^belfry: \/nowhere\.yml: there is no such file\n {2}.*\n$/);
    expect((await belfry(['config', 'check', '--config', cwd])).err).toBe(
      `belfry: ${cwd}: is a directory\n  Name a file with --config.\n`,
    );
    execFileSync('mkfifo', [join(cwd, 'pipe.yml')]);
    expect((await belfry(['config', 'check', '--config', join(cwd, 'pipe.yml')])).err).toContain('not a regular file');
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
    expect(first.out).toMatch(/^# store-url: left out, it holds a secret$/m);
    expect(first.out).not.toContain('pw@');
    const copied = write('copied.yml', first.out);
    const second = await belfry(['config', 'show', '--config', copied]);
    expect(second).toEqual({
      code: 0,
      err: '',
      out: first.out.replace('# store-url: left out, it holds a secret', 'store-url: ""'),
    });
  });
});

const NOBODY = { uid: 65_534, gid: 65_534 };
const launcher = join(root, 'bin', 'belfry');
const asNobody = process.getuid?.() === 0 && spawnSync(launcher, ['version'], NOBODY).status === 0;
skipUnless(asNobody, 'not root, or the checkout is closed to others')('a user who may not', () => {
  beforeEach(() => chmodSync(cwd, 0o755));

  const said = (...args: string[]) => {
    const { status, stderr } = spawnSync(launcher, args, { cwd, encoding: 'utf8', ...NOBODY });
    expect({ status, stack: /^\s+at /m.test(stderr) }, stderr).toEqual({ status: 1, stack: false });
    return stderr;
  };

  test('read a backup is told so', () => {
    const file = write('a.backup', 'x');
    chmodSync(file, 0o600);
    expect(said('backup', 'verify', file)).toBe(
      `belfry: ${file} cannot be read (EACCES).\n  Run this as a user who may read it, or let this one.\n`,
    );
    expect(said('backup', 'restore', file, '--data-dir', join(cwd, 'd'))).toContain('(EACCES). Nothing was changed.\n');
  });

  test('write beside a plain copy is told to copy it', () => {
    const database = new DatabaseSync(join(cwd, 'plain.db'));
    database.exec('PRAGMA journal_mode = WAL; CREATE TABLE a (b)');
    database.close();
    expect(said('backup', 'verify', 'plain.db')).toMatch(
      /cannot be checked where it is: .*\n {2}Copy it, with its -wal/,
    );
  });

  test('use a data directory is told which and why', () => {
    const closed = join(cwd, 'closed');
    mkdirSync(closed, { mode: 0o700 });
    const at = ['--http-addr', '127.0.0.1:0', '--log-format', 'json', '--data-dir'];
    expect(said('agent', ...at, join(closed, 'data'))).toMatch(
      /^belfry: The data directory .*closed\/data cannot be used: EACCES.*\n {2}Name one with --data-dir/,
    );
    expect(said('agent', '--http-addr', '127.0.0.1:80', '--data-dir', join(cwd, 'd'))).toMatch(
      /not listen on port 80\./,
    );
  });
});

describe('belfry schedule explain', () => {
  test('for a reader that has seen enough', () => {
    const words = [launcher, 'schedule', 'explain', '@hourly', '-n', '1000'];
    const { status, stderr } = spawnSync('bash', ['-c', 'set -o pipefail; "$@" | head -n 2', 'bash', ...words]);
    expect({ status, stderr: stderr.toString() }).toEqual({ status: 0, stderr: '' });
  });

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
    expect((await belfry(['schedule', 'explain', '30', '2', 'L', 'JAN', '?'])).code).toBe(0);
    const expanded = await belfry(['schedule', 'explain', '0', '9', 'README.md', 'src', '1-5']);
    expect(expanded.code).toBe(1);
    expect(expanded.err).toMatch(
      /^belfry: the schedule came as several words: put it in quotes, or the shell replaces its \*\n/,
    );
    const slip = await belfry(['schedule', 'explain', '0 24 * * *']);
    expect(slip.err).toBe('belfry: hour 24 is out of range: 0-23\n  0 24 * * *\n    ^\n  Did you mean "0 0 * * *"?\n');
    expect((await belfry(['schedule', 'explain', ' '])).err).toMatch(/^belfry: a schedule is missing\n {2}See /);
    expect((await belfry(['schedule', 'explain', 'H 12 * * *'])).err).toMatch(/^note: --name: H and ~ /);
    const zone = await belfry(['schedule', 'explain', '@daily', '--tz', 'Europe/Berln']);
    expect(zone.err.match(/Europe\/Berlin/g)).toHaveLength(1);
    expect((await belfry(['schedule', 'explain', '* * * * *', '-n', '0'])).code).toBe(2);
    expect((await belfry(['schedule', 'explain', '* * * * *', '--tz', 'Mars'])).code).toBe(1);
    expect((await belfry(['schedule', 'explain', 'x'.repeat(100_000)])).code).toBe(1);
  });
});
