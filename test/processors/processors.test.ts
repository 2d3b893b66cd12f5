/** The processors log and files, and the running of them, on real files. */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/lib/clock.ts';
import { createFilesProcessor } from '../../src/processors/files.ts';
import { createLogProcessor, LOG_OUTPUT_BYTES_MAX } from '../../src/processors/log.ts';
import { applyProcessors } from '../../src/processors/processing.ts';
import type { ProcessedExecution, Processor, ProcessorContext } from '../../src/processors/processor.ts';

const execution: ProcessedExecution = {
  id: '1700000000000000000-n1', key: 1, job: 'nightly', node: 'n1', success: true, group: 1, attempt: 1, startedAtUs: 1, finishedAtUs: 2, output: 'the tail',
}; // prettier-ignore

let dir = '';
beforeEach(() => {
  dir = mkdtempSync(path.join(tmpdir(), 'belfry-processors-'));
});
afterEach(() => {
  rmSync(dir, { recursive: true });
});

function context(...chunks: (string | Uint8Array)[]): ProcessorContext {
  return {
    openLog: async function* () {
      for (const chunk of chunks) yield Buffer.from(chunk);
    },
    signal: new AbortController().signal,
  };
}

describe('files', () => {
  const files = createFilesProcessor();
  const target = () => path.join(dir, `${execution.id}.log`);

  it('writes the full log and leaves the path as output', async () => {
    const result = await files.process(execution, { log_dir: dir }, context('all ', 'of it\n'));
    expect(result).toEqual({ output: target() });
    expect(readFileSync(target(), 'utf8')).toBe('all of it\n');
    expect(statSync(target()).mode & 0o777).toBe(0o644 & ~process.umask());
    expect(readdirSync(dir)).toHaveLength(1);
  });

  it('keeps the output when forwarding', async () => {
    expect(await files.process(execution, { log_dir: dir, forward: 'true' }, context('x'))).toEqual({
      output: 'the tail',
    });
    expect(existsSync(target())).toBe(true);
  });

  it('is safe to repeat, also over the rest of a run that was killed', async () => {
    writeFileSync(path.join(dir, `.${execution.id}.log.part`), 'half of an earlier ru');
    for (let i = 0; i < 2; i++) await files.process(execution, { log_dir: dir }, context('whole'));
    expect(readFileSync(target(), 'utf8')).toBe('whole');
    expect(readdirSync(dir)).toHaveLength(1);
  });

  it('streams 20 MB', async () => {
    const chunk = Buffer.alloc(65_536, 'y');
    let open = 0;
    const source = async function* () {
      for (let i = 0; i < 320; i++) yield ((open++, chunk));
    };
    await files.process(execution, { log_dir: dir }, { openLog: source, signal: new AbortController().signal });
    expect(statSync(target()).size).toBe(320 * 65_536);
    expect(open).toBe(320);
  });

  it.each(['../escaped', '..', '.', '', '/etc/x', 'a/b', 'a\\b', 'a\0b', '.hidden', 'x'.repeat(300)])(
    'writes nothing for the id %j',
    async (id) => {
      const result = await files.process({ ...execution, id }, { log_dir: path.join(dir, 'in') }, context('x'));
      expect(result).toMatchObject({ output: 'the tail', problem: expect.stringContaining('no file name') });
      expect(readdirSync(dir)).toEqual([]);
    },
  );

  it('does not write through links', async () => {
    const victim = path.join(dir, 'victim');
    writeFileSync(victim, 'untouched');
    symlinkSync(victim, path.join(dir, `.${execution.id}.log.part`));
    symlinkSync(victim, target());
    await files.process(execution, { log_dir: dir }, context('x'));
    expect([readFileSync(victim, 'utf8'), readFileSync(target(), 'utf8')]).toEqual(['untouched', 'x']);
  });

  it('keeps the output and says why when it cannot write', async () => {
    const missing = path.join(dir, 'missing');
    expect(await files.process(execution, { log_dir: missing }, context('x'))).toEqual({
      output: 'the tail', problem: `cannot write ${missing}/${execution.id}.log (ENOENT)`,
    }); // prettier-ignore
    mkdirSync(target());
    expect(await files.process(execution, { log_dir: dir }, context('x'))).toMatchObject({
      output: 'the tail',
      problem: expect.stringMatching(/EISDIR|ENOTEMPTY|EEXIST/),
    });
    expect(readdirSync(dir)).toEqual([`${execution.id}.log`]);
  });

  it('says so where nobody may write', async () => {
    // Not even root creates files there, so this holds for whoever runs the tests.
    const result = await files.process(execution, { log_dir: '/proc/self' }, context('x'));
    expect(result).toMatchObject({
      output: 'the tail',
      problem: expect.stringMatching(/^cannot write \/proc\/self\/.* \(E/),
    });
    writeFileSync(path.join(dir, 'file'), '');
    expect(await files.process(execution, { log_dir: path.join(dir, 'file') }, context('x'))).toMatchObject({
      problem: expect.stringContaining('ENOTDIR'),
    });
  });

  it('leaves nothing behind when the log cannot be read to its end', async () => {
    const broken: ProcessorContext = {
      ...context(),
      openLog: async function* () {
        yield Buffer.from('half');
        throw new Error('log is damaged');
      },
    };
    expect(await files.process(execution, { log_dir: dir }, broken)).toMatchObject({
      output: 'the tail',
      problem: expect.stringContaining('log is damaged'),
    });
    expect(readdirSync(dir)).toEqual([]);
  });

  it('creates only the default directory', async () => {
    const standard = path.join(dir, 'a/b');
    const result = await createFilesProcessor({ logDirDefault: standard }).process(execution, {}, context('x'));
    expect(result.output).toBe(path.join(standard, `${execution.id}.log`));
  });
});

describe('log', () => {
  const written: Record<'stdout' | 'stderr', string[]> = { stdout: [], stderr: [] };
  const log = createLogProcessor({
    stdout: { write: (text) => written.stdout.push(text) },
    stderr: { write: (text) => written.stderr.push(text) },
  });
  beforeEach(() => {
    written.stdout.length = 0;
    written.stderr.length = 0;
  });

  it('prints a success to stdout, framed, in one write', async () => {
    expect(await log.process(execution, { forward: 'false' }, context('a\n', 'b'))).toEqual({
      output: 'Output in dkron log',
    });
    const name = 'job "nightly" execution "1700000000000000000-n1"';
    expect(written).toEqual({ stdout: [`BEGIN output of ${name}\na\nb\nEND output of ${name}\n`], stderr: [] });
  });

  it('prints a failure to stderr', async () => {
    await log.process({ ...execution, success: false }, {}, context('x'));
    expect([written.stdout.length, written.stderr.length]).toEqual([0, 1]);
  });

  it('keeps the output when forwarding, and takes nonsense for false', async () => {
    expect(await log.process(execution, { forward: 'T' }, context())).toEqual({ output: 'the tail' });
    expect(await log.process(execution, { forward: 'yes' }, context())).toEqual({
      output: 'Output in dkron log',
      problem: 'forward "yes" is no boolean: false is used; write "true" or "false"',
    });
  });

  it('prints the end of a long log and says what it left out', async () => {
    const chunk = 'z'.repeat(65_536);
    await log.process(execution, {}, context(...Array.from({ length: 40 }, () => chunk), 'the end'));
    const text = written.stdout[0] ?? '';
    const cut = 40 * 65_536 + 7 - LOG_OUTPUT_BYTES_MAX;
    expect(text).toContain(`(the last ${LOG_OUTPUT_BYTES_MAX} bytes; ${cut} before them left out)\nzzz`);
    expect(text).toContain('zzzthe end\nEND output');
    expect(text.length).toBeLessThan(LOG_OUTPUT_BYTES_MAX + 400);
  });
});

describe('applyProcessors', () => {
  const append = (name: string): Processor => ({
    name,
    process: (each, config) => Promise.resolve({ output: `${each.output}>${name}${config['k'] ?? ''}` }),
  });
  const registry = (...processors: Processor[]) => new Map(processors.map((each) => [each.name, each]));
  const running = (more: object = {}) => ({ ...context(), clock: systemClock, ...more });

  it('runs them by name, each on the output of the one before', async () => {
    const result = await applyProcessors(
      execution,
      { c: {}, a: { k: '1' }, b: {} },
      registry(append('b'), append('c'), append('a')),
      running(),
    );
    expect(result).toEqual({ output: 'the tail>a1>b>c', problems: [] });
  });

  it('leaves the output as it is without processors', async () => {
    expect(await applyProcessors(execution, {}, registry(), running())).toEqual({ output: 'the tail', problems: [] });
  });

  it('tells of unknown and failing ones and goes on', async () => {
    const bad: Processor = { name: 'bad', process: () => Promise.reject(new Error('boom')) };
    const result = await applyProcessors(
      execution,
      { bad: {}, nowhere: {}, z: {} },
      registry(bad, append('z')),
      running(),
    );
    expect(result.output).toBe(
      'the tail>z\nwarning: processor bad: boom\nwarning: processor "nowhere" is not in this version, so it gets no output\n',
    );
    expect(result.problems).toEqual([
      'processor bad of job nightly, execution 1700000000000000000-n1: boom',
      'processor "nowhere" is not in this version, so it gets no output (job nightly)',
    ]);
  });

  it('leaves a marker as it is, whatever else its processor has to say', async () => {
    const marking: Processor = { name: 'marking', process: () => Promise.resolve({ output: 'MARK', problem: 'odd' }) };
    const result = await applyProcessors(execution, { marking: {} }, registry(marking), running());
    expect(result).toEqual({
      output: 'MARK',
      problems: ['processor marking of job nightly, execution 1700000000000000000-n1: odd'],
    });
  });

  it('leaves one behind that hangs, and tells it to end', async () => {
    let told = false;
    const hanging: Processor = {
      name: 'hanging',
      process: (_execution, _config, { signal }) =>
        new Promise(() => signal.addEventListener('abort', () => (told = true))),
    };
    const result = await applyProcessors(
      execution,
      { hanging: {}, z: {} },
      registry(hanging, append('z')),
      running({ deadlineMs: 20 }),
    );
    expect(result).toEqual({
      output: 'the tail>z\nwarning: processor hanging: took longer than 0.02s and was left behind\n',
      problems: [expect.stringContaining('took longer than 0.02s')],
    });
    expect(told).toBe(true);
  });

  it('ends with its caller', async () => {
    const result = await applyProcessors(
      execution,
      { z: {} },
      registry(append('z')),
      running({ signal: AbortSignal.abort() }),
    );
    expect(result).toEqual({
      output: 'the tail\nwarning: processor z: ended before it was done\n',
      problems: [expect.stringContaining('ended before it was done')],
    });
  });
});
