/** Output: both streams in observed order, any bytes, any amount, by processes and by executors of ours; and what a start can go wrong with. */
import { createHash } from 'node:crypto';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { logBase } from '../../src/agent/paths.ts';
import { logSize, openLog, readLog, removeLog, storedLogs, tailOf } from '../../src/agent/logs.ts';
import { AgentWorld, type Host, until } from './kit.ts';

const NOT_EXECUTABLE = '(the file is not executable: chmod +x, or name its interpreter in the command)';

let world: AgentWorld;
beforeEach(() => {
  world = new AgentWorld();
});
afterEach(() => world.close());

async function outcome(host: Host, config: Record<string, string>, more = {}) {
  await host.known();
  const run = world.run(config, more);
  host.tell({ start: [run] });
  return { key: run.key, ended: await host.ended(run.key) };
}

/** The runner has looked at so much of the stream. */
function seenInIndex(key: number, chunk: string): boolean {
  return readFileSync(`${logBase(world.dataDir, key)}.idx`, 'latin1').includes(`${chunk} `);
}

describe.each(['ffi', 'child_process'] as const)('%s', (spawn) => {
  const start = (options = {}) => world.host({ spawn, ack: true, ...options });

  test('two streams, in the order in which they were seen', async () => {
    const host = start();
    const step = 'sleep 0.35';
    const { key, ended } = await outcome(host, {
      command: `echo one; ${step}; echo two >&2; ${step}; printf three`,
      shell: 'true',
    });
    expect(ended).toMatchObject({ outcome: 'succeeded', tail: 'one\ntwo\nthree', outputBytes: 13, logBytes: 13 });
    const log = readLog(world.dataDir, { key, from: 0, limit: 100 });
    expect(log.bytes.toString()).toBe('one\ntwo\nthree');
    expect(log.chunks.map(({ stream, from, length }) => [stream, from, length])).toEqual([
      ['stdout', 0, 4],
      ['stderr', 4, 4],
      ['stdout', 8, 5],
    ]);
    const times = log.chunks.map((chunk) => chunk.observedAtUs - (ended.startedAtUs ?? 0));
    for (const [i, at] of times.entries()) expect(at).toBeGreaterThanOrEqual(i * 340_000);
    expect(readLog(world.dataDir, { key, from: 5, limit: 4 }).bytes.toString()).toBe('wo\nt');
    expect(tailOf(world.dataDir, key, 7).toString()).toBe('o\nthree');
    expect(logSize(world.dataDir, key)).toBe(13);
    removeLog(world.dataDir, key);
    expect(openLog(world.dataDir, key)).toBeNull();
  });

  test('no output leaves no file', async () => {
    const host = start();
    const { key, ended } = await outcome(host, { command: 'true' });
    expect(ended).toMatchObject({ outcome: 'succeeded', tail: '', outputBytes: 0, logBytes: 0 });
    for (const ending of ['.out', '.err', '.idx']) expect(existsSync(logBase(world.dataDir, key) + ending)).toBe(false);
  });

  test('a log that finds no place is counted, and its end goes with the result', async ({ skip }) => {
    if (spawn !== 'ffi')
      skip('child_process has no spare files: without a place for its output such a run does not start');
    const host = start();
    const command = 'echo one; sleep 1.2; echo two';
    const run = world.run({ command, shell: 'true' });
    const first = await outcome(host, { command: 'true' });
    const directory = dirname(logBase(world.dataDir, run.key));
    expect(dirname(logBase(world.dataDir, first.key))).toBe(directory);
    rmSync(directory, { recursive: true });
    writeFileSync(directory, 'no directory');
    host.tell({ start: [run] });
    const ended = await host.ended(run.key);
    expect(ended).toMatchObject({ outcome: 'succeeded', tail: 'one\ntwo\n', outputBytes: 8, logBytes: 0 });
    expect(openLog(world.dataDir, run.key)).toBeNull();
  });

  test('binary garbage is kept byte for byte, its tail is valid text', async () => {
    const host = start();
    const { key, ended } = await outcome(host, {
      command: 'head -c 50000 /dev/urandom | tee $W',
      shell: 'true',
      env: `W=${world.path('copy')}`,
    });
    expect(ended.outputBytes).toBe(50_000);
    const copy = await import('node:fs').then((fs) => fs.readFileSync(world.path('copy')));
    expect(sha(readLog(world.dataDir, { key, from: 0, limit: 100_000 }).bytes)).toBe(sha(copy));
    expect(ended.tail.isWellFormed()).toBe(true);
    expect(ended.tail.length).toBeGreaterThan(8000);
  });

  test('a character cut by the tail’s limit is left out', async () => {
    const host = start({ tailBytes: 10 });
    const { ended } = await outcome(host, {
      command: 'printf "\\303\\244\\303\\266\\303\\274\\303\\237\\303\\244x"',
      shell: 'true',
    });
    expect(ended).toMatchObject({ outputBytes: 11, tail: 'öüßäx' });
  });

  test('past its limit the oldest output goes, the count stays exact', async () => {
    const limit = 1024 * 1024;
    const host = start({ outputBytesMax: limit });
    const line = 'head -c 1000000 /dev/zero | tr "\\\\0" "x"';
    const go = world.path('go');
    await host.known();
    const run = world.run({
      command: `i=0; while [ $i -lt 8 ]; do ${line}; sleep 0.15; i=$((i+1)); done; echo; echo end >&2; until [ -e ${go} ]; do sleep 0.05; done; printf last`,
      shell: 'true',
    });
    const { key } = run;
    host.tell({ start: [run] });
    // Once both streams were looked at, what follows is in order.
    await until(() => existsSync(`${logBase(world.dataDir, key)}.idx`) && seenInIndex(key, 'e 0 4'));
    writeFileSync(go, '');
    const ended = await host.ended(key);
    const total = 8_000_000 + 1 + 4 + 4;
    expect(ended.outputBytes).toBe(total);
    expect(ended.logBytes).toBeLessThanOrEqual(limit * 1.2);
    expect(ended.logBytes).toBeGreaterThanOrEqual(limit);
    const log = openLog(world.dataDir, key);
    expect(log).toMatchObject({ totalBytes: total, firstKeptByte: total - ended.logBytes });
    const end = readLog(world.dataDir, { key, from: total - 10, limit: 100 });
    expect(end.bytes.toString()).toBe('x\nend\nlast'.slice(-10));
    const old = readLog(world.dataDir, { key, from: 0, limit: 10 });
    expect(old).toMatchObject({ from: total - ended.logBytes, totalBytes: total });
    expect(old.bytes.toString()).toBe('xxxxxxxxxx');
    if (spawn === 'ffi')
      expect(statSync(`${logBase(world.dataDir, key)}.out`).blocks * 512).toBeLessThanOrEqual(limit * 1.3);
  });

  test('starts that fail say why', async () => {
    const host = start();
    const tooLong = `/${'x'.repeat(5000)}`;
    const script = (name: string, text: string): string => {
      writeFileSync(world.path(name), text, { mode: 0o755 });
      return world.path(name);
    };
    const cases: [Record<string, string>, string, string][] = [
      [{ command: '' }, 'start', 'command missing: say in the key command what is to run'],
      [
        { command: 'no-such-program-here x', env: 'PATH=/bin:/nowhere' },
        'start',
        'exec: "no-such-program-here": executable file not found in $PATH (/bin:/nowhere; write its whole path, or give another PATH in env)',
      ],
      [
        { command: 'cd /tmp && ls' },
        'start',
        'exec: "cd": executable file not found in $PATH (only a shell knows it: set shell to "true")',
      ],
      [{ command: '/no/such/program' }, 'start', 'fork/exec /no/such/program: no such file or directory'],
      [{ command: '/bin/true', cwd: '/no/such/dir' }, 'start', 'chdir /no/such/dir: no such file or directory'],
      [{ command: '/bin/true', cwd: '/etc/passwd' }, 'start', 'chdir /etc/passwd: not a directory'],
      [{ command: '/bin/true', cwd: tooLong }, 'start', `chdir ${tooLong.slice(0, 300)}…: file name too long`],
      [{ command: '/etc' }, 'start', 'fork/exec /etc: permission denied (it is a directory)'],
      [
        { command: script('lost', '#! /nope -x\n') },
        'start',
        `fork/exec ${world.path('lost')}: no such file or directory (the script is there; the interpreter in its first line, "/nope", is missing or may not be executed)`,
      ],
      [
        { command: './crlf', cwd: script('crlf', '#!/bin/sh\r\necho\r\n').replace(/\/crlf$/, '') },
        'start',
        'fork/exec ./crlf: no such file or directory (the script has Windows line ends, so its first line names no interpreter: convert it, for example with dos2unix)',
      ],
      [{ command: '/etc/passwd' }, 'start', `fork/exec /etc/passwd: permission denied ${NOT_EXECUTABLE}`],
      [
        { command: '/bin/true', timeout: 'soon' },
        'start',
        'timeout "soon" is not a duration: write it as 30s or 1h30m',
      ],
      [
        { command: '/bin/true', mem_limit: 'lots' },
        'start',
        'mem_limit "lots" is not a size: write it as bytes or 512MiB',
      ],
      [{ command: '/bin/true', payload: '%%' }, 'start', 'payload is not base64: give what "base64 -w0 FILE" prints'],
      [
        { command: '/bin/true', su: 'no-such-user' },
        'start',
        process.getuid?.() === 0
          ? 'su: there is no user no-such-user on this node'
          : 'su needs a node that runs as root',
      ],
      [{ command: '/bin/echo "open' }, 'start', 'command has an unclosed quote or backslash at character 11'],
      [{ command: `/bin/echo ${'x'.repeat(3_000_000)}` }, 'start', 'fork/exec /bin/echo: argument list too long'],
    ];
    if (process.getuid?.() === 0)
      cases.push([
        { command: 'no-such-program now', su: 'daemon', env: 'PATH=/usr/bin' },
        'start',
        'exec: "no-such-program": executable file not found in $PATH (/usr/bin; write its whole path, or give another PATH in env)',
      ]);
    // Node's own spawn gives such a file to the shell.
    if (spawn === 'ffi')
      cases.push([
        { command: script('bare', 'echo hello\n') },
        'start',
        `fork/exec ${world.path('bare')}: exec format error (the file is neither a program for this machine nor begins with a line like #!/bin/sh)`,
      ]);
    for (const [config, reason, message] of cases) {
      const { ended } = await outcome(host, config);
      expect(ended).toMatchObject({ outcome: 'failed', reason, message, startedAtUs: null });
    }
  });

  test('exit rules, signals, payloads, environment', async () => {
    const host = start();
    expect((await outcome(host, { command: 'exit 2', shell: 'true', success_codes: '0,2' })).ended).toMatchObject({
      outcome: 'succeeded',
      exitCode: 2,
    });
    expect((await outcome(host, { command: 'exit 0', shell: 'true', success_codes: '3' })).ended).toMatchObject({
      outcome: 'failed',
      message: 'exit status 0',
    });
    expect((await outcome(host, { command: 'kill -9 $$', shell: 'true' })).ended).toMatchObject({
      reason: 'signal',
      signal: 'SIGKILL',
      message: 'signal: killed',
      exitCode: null,
    });
    // Twice the pipe's buffer deadlocked Dkron.
    const payload = Buffer.alloc(700_000, 'p').toString('base64');
    expect((await outcome(host, { command: 'wc -c', payload })).ended.tail.trim()).toBe('700000');
    expect((await outcome(host, { command: 'wc -c' })).ended.tail.trim()).toBe('0');
    const { ended } = await outcome(
      host,
      { command: 'env', env: 'LIST=1,2,3,OTHER=x' },
      { attempt: 2, trigger: 'manual' },
    );
    const names = ended.tail
      .split('\n')
      .filter(Boolean)
      .map((one) => one.slice(0, one.indexOf('=')))
      .sort();
    expect(ended.tail).toContain('LIST=1,2,3\n');
    expect(ended.tail).toContain('BELFRY_ATTEMPT=2\n');
    expect(ended.tail).toContain('BELFRY_SCHEDULED_AT=2026-11-18T11:06:40Z\n');
    const told = [
      'JOB',
      'SCHEDULED_AT',
      'GROUP',
      'EXECUTION_ID',
      'ATTEMPT',
      'TRIGGER',
      'NODE',
      'SHARD',
      'SHARDS',
      'DATA_ID',
    ].map((name) => `BELFRY_${name}`);
    expect(names).toEqual(
      [...told, 'ENV_JOB_NAME', 'HOME', 'LANG', 'LIST', 'LOGNAME', 'OTHER', 'PATH', 'SHELL', 'USER'].sort(),
    );
  });

  test('a job has its own session and no descriptor of ours', async ({ skip }) => {
    if (spawn !== 'ffi') skip('child_process passes on what the node inherited; only closefrom is sure');
    const host = start();
    const { ended } = await outcome(host, { command: 'ls /proc/self/fd; ps -o sid= -p $$; echo $$', shell: 'true' });
    const words = ended.tail.split(/\s+/).filter(Boolean);
    // 0, 1, 2, and 3 is ls looking at the directory.
    expect(words.slice(0, 4)).toEqual(['0', '1', '2', '3']);
    expect(words[4]).toBe(words[5]);
  });

  test('su runs as the user, without our groups', async ({ skip }) => {
    if (process.getuid?.() !== 0) skip('not root: su cannot change the user');
    const host = start();
    const { ended } = await outcome(host, {
      command: 'id -un; id -gn; id -G; echo $HOME $USER',
      shell: 'true',
      su: 'daemon:bin',
      cwd: '/',
    });
    expect(ended).toMatchObject({ outcome: 'succeeded', tail: 'daemon\nbin\n2\n/usr/sbin daemon\n' });
  });
});

test('out of descriptors: the run fails with that reason, the runner stays', async () => {
  const host = world.host({ ack: true });
  await host.known();
  const [pid] = await host.runnerPids();
  const { spawnSync } = await import('node:child_process');
  const before = spawnSync('prlimit', ['--pid', String(pid), '--nofile', '--output=SOFT', '--noheadings', '--raw'])
    .stdout.toString()
    .trim();
  spawnSync('prlimit', ['--pid', String(pid), '--nofile=3:']);
  const { ended } = await outcome(host, { command: 'cat', payload: Buffer.from('x').toString('base64') });
  expect(ended).toMatchObject({ outcome: 'failed', reason: 'resources' });
  spawnSync('prlimit', ['--pid', String(pid), `--nofile=${before}:`]);
  expect((await outcome(host, { command: 'true' })).ended.outcome).toBe('succeeded');
  expect(await host.runnerPids()).toEqual([pid]);
});

describe('http', () => {
  let server: Server;
  let url = '';
  let hanging: ServerResponse | undefined;
  beforeEach(async () => {
    server = createServer((request, response) => {
      if (request.url === '/big') response.end(Buffer.alloc(300_000, 'b'));
      else if (request.url === '/binary') response.end(Buffer.from([0xff, 0xfe, 0, 1]));
      else if (request.url === '/hang') (hanging = response).write('partial');
      else response.end('hello');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterEach(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  test('short text stays in the result, the rest goes to the log', async () => {
    const host = world.host({ ack: true });
    const http = { executor: 'http' };
    const short = await outcome(host, { url, method: 'GET' }, http);
    expect(short.ended).toMatchObject({ outcome: 'succeeded', tail: 'hello', outputBytes: 5, logBytes: 0 });
    const big = await outcome(host, { url: `${url}/big`, method: 'GET' }, http);
    expect(big.ended).toMatchObject({ outcome: 'succeeded', outputBytes: 300_000, logBytes: 300_000 });
    expect(tailOf(world.dataDir, big.key, 5).toString()).toBe('bbbbb');
    const binary = await outcome(host, { url: `${url}/binary`, method: 'GET' }, http);
    expect([...readLog(world.dataDir, { key: binary.key, from: 0, limit: 10 }).bytes]).toEqual([0xff, 0xfe, 0, 1]);
    const unknown = await outcome(host, {}, { executor: 'carrier-pigeon' });
    expect(unknown.ended).toMatchObject({
      outcome: 'failed',
      reason: 'start',
      message: 'executor "carrier-pigeon" is not in this version: give one of shell, http',
    });
  });

  test('the body of a long response can be read while it comes', async () => {
    const host = world.host({ ack: true });
    await host.known();
    const run = world.run({ url: `${url}/hang`, method: 'GET', timeout: '30' }, { executor: 'http' });
    host.tell({ start: [run] });
    await host.started(run.key);
    const readable = () => tailOf(world.dataDir, run.key, 100).toString();
    await until(() => readable() === 'partial');
    hanging?.write(', more');
    await until(() => readable() === 'partial, more');
    hanging?.end();
    expect(await host.ended(run.key)).toMatchObject({
      outcome: 'succeeded',
      outputBytes: 13,
      logBytes: 13,
      tail: 'partial, more',
    });
  });

  test('a request in flight when its runner dies ends lost', async () => {
    const host = world.host({ ack: true });
    await host.known();
    const [runner] = await host.runnerPids();
    const run = world.run({ url: `${url}/hang`, method: 'GET', timeout: '30' }, { executor: 'http' });
    host.tell({ start: [run] });
    await host.started(run.key);
    process.kill(runner as number, 'SIGKILL');
    expect(await host.ended(run.key)).toMatchObject({ outcome: 'lost', reason: 'request_in_flight' });
  });

  test('stop and timeout break a request off', async () => {
    const host = world.host({ ack: true });
    await host.known();
    const stopped = world.run({ url: `${url}/hang`, method: 'GET', timeout: '30' }, { executor: 'http' });
    const late = world.run({ url: `${url}/hang`, method: 'GET', timeout: '30' }, { executor: 'http', timeoutMs: 300 });
    host.tell({ start: [stopped, late] });
    await host.started(stopped.key);
    host.tell({ stop: [{ key: stopped.key, reason: 'user' }] });
    expect(await host.ended(stopped.key)).toMatchObject({ outcome: 'cancelled', reason: 'user' });
    expect(await host.ended(late.key)).toMatchObject({ outcome: 'failed', reason: 'timeout' });
  });
});

test('stored logs are listed oldest first, with what they take on disk', async () => {
  const host = world.host({ ack: true });
  const { key } = await outcome(host, { command: 'head -c 20000 /dev/zero' });
  await until(() => existsSync(`${logBase(world.dataDir, key)}.out`));
  const found = [];
  for await (const hour of storedLogs(world.dataDir)) found.push(...hour);
  expect(found).toEqual([{ key, diskBytes: 20_480 }]);
});

function sha(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
