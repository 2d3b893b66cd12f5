import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { JOB_LIMITS, definitionOf, jobView, parseJobInput } from './job.ts';

const STATE = {
  successCount: 0,
  errorCount: 0,
  lastSuccessAt: null,
  lastErrorAt: null,
  status: '',
  nextAt: null,
  dependentJobs: [],
};

function parsed(body: unknown) {
  const result = parseJobInput(body);
  if (!result.ok) throw new Error(`${result.field}: ${result.message}`);
  return result;
}

describe('parseJobInput', () => {
  test('fills what is absent or null, as Go does', () => {
    const { job } = parsed({
      name: 'a',
      schedule: '@manually',
      tags: null,
      retries: null,
      disabled: null,
      concurrency: null,
      metadata: { k: null },
    });
    expect(job).toMatchObject({
      tags: {},
      retries: 0,
      disabled: false,
      concurrency: 'allow',
      metadata: { k: '' },
      executor: '',
      targets: null,
    });
    expect(parsed({ name: 'a', schedule: '@manually', concurrency: '' }).job.concurrency).toBe('allow');
  });

  test('keys in another case count unless the exact one is there; unknown ones are named', () => {
    const { job, unknownFields } = parsed({ NAME: 'a', name: 'b', Schedule: '@manually', colour: 1, constructor: 2 });
    expect(job).toMatchObject({ name: 'b', schedule: '@manually' });
    expect(unknownFields).toEqual(['colour', 'constructor']);
  });

  test('a prototype cannot be smuggled in', () => {
    const { unknownFields } = parsed(JSON.parse('{"name":"a","schedule":"@manually","__proto__":{"disabled":true}}'));
    expect(unknownFields).toEqual(['__proto__']);
    for (const map of ['tags', 'metadata', 'executor_config', 'processors']) {
      const body = JSON.parse(
        `{"name":"a","schedule":"@manually","${map}":{"__proto__":${map === 'processors' ? '{}' : '"x"'}}}`,
      ) as unknown;
      expect(parseJobInput(body)).toMatchObject({ ok: false, stage: 'decode', field: map });
    }
    expect(parseJobInput(JSON.parse('{"processors":{"log":{"__proto__":"x"}}}'))).toMatchObject({
      ok: false,
      field: 'processors.log',
    });
    expect(({} as Record<string, unknown>)['disabled']).toBeUndefined();
  });

  test.each<[string, unknown, string]>([
    ['no object', [], ''],
    ['nothing', undefined, ''],
    ['name', { name: 5 }, 'name'],
    ['boolean as text', { disabled: 'true' }, 'disabled'],
    ['negative retries', { retries: -1 }, 'retries'],
    ['half a retry', { retries: 0.5 }, 'retries'],
    ['2^63', { retries: 2 ** 63 }, 'retries'],
    ['infinity', { success_count: Infinity }, 'success_count'],
    ['too many retries', { retries: JOB_LIMITS.retriesMax + 1 }, 'retries'],
    ['a map value that is no string', { executor_config: { command: true } }, 'executor_config.command'],
    ['a processor value that is no string', { processors: { log: { forward: true } } }, 'processors.log.forward'],
    ['a list for a map', { tags: ['a'] }, 'tags'],
    ['a time', { starts_at: 'soon' }, 'starts_at'],
    ['a time that is not', { next: '2026-02-30T00:00:00Z' }, 'next'],
    ['a number for a time', { expires_at: 5 }, 'expires_at'],
    ['children', { dependent_jobs: 'x' }, 'dependent_jobs'],
    ['targets', { targets: 'two' }, 'targets'],
    ['guarantee', { guarantee: 'exactly-once' }, 'guarantee'],
    ['a duration', { timeout: '5 minutes' }, 'timeout'],
    ['a negative duration', { jitter: '-5m' }, 'jitter'],
    ['an unknown field of ours', { misfire: { polcy: 'all' } }, 'misfire.polcy'],
    ['dst', { dst: { gap: 'before' } }, 'dst.gap'],
    ['retry', { retry: { factor: 0.5 } }, 'retry.factor'],
    ['a calendar', { calendars: [{ dates: ['31-12'] }] }, 'calendars.0.dates.0'],
    ['too many entries', { tags: Object.fromEntries(Array.from({ length: 1001 }, (_, i) => [`k${i}`, ''])) }, 'tags'],
    ['too large', { executor_config: { command: 'x'.repeat(JOB_LIMITS.mapCharactersMax + 1) } }, 'executor_config'],
    ['a long owner', { owner: 'x'.repeat(JOB_LIMITS.textCharactersMax + 1) }, 'owner'],
  ])('%s does not decode', (_what, body, field) => {
    const result = parseJobInput(body);
    expect(result).toMatchObject({ ok: false, stage: 'decode', field });
    if (!result.ok) expect(result.remedy).not.toBe('');
  });

  test.each<[string, Record<string, unknown>, string]>([
    ['no name', { schedule: '@manually' }, 'name cannot be empty'],
    ['upper case', { name: 'A' }, 'name contains illegal character "A"'],
    ['a slash', { name: 'a/b' }, 'name contains illegal character "/"'],
    ['dots', { name: '..' }, 'name contains illegal character "."'],
    ['a space', { name: 'a b' }, 'name contains illegal character " "'],
    ['CJK', { name: '漢' }, 'name contains illegal character "漢"'],
    ['Arabic digits', { name: 'a٣' }, 'name contains illegal character "٣"'],
    ['a pair', { name: 'a🔔' }, 'name contains illegal character "🔔"'],
    ['a long name', { name: 'é'.repeat(121) }, 'name is longer than 240 bytes'],
    ['its own parent', { name: 'a', parent_job: 'a' }, 'the job can not have itself as parent'],
    ['neither schedule nor parent', { name: 'a' }, 'schedule is empty'],
    ['a long schedule', { name: 'a', schedule: '*'.repeat(100_000) }, 'schedule is longer than 1000 characters'],
    ['concurrency', { name: 'a', schedule: '@manually', concurrency: 'forbit' }, 'concurrency must be one of'],
    [
      'shell timeout',
      { name: 'a', schedule: '@manually', executor: 'shell', executor_config: { timeout: 'soon' } },
      '"soon" is not a duration',
    ],
    ...['0', '-5', '1PB', 'lots', '1.5', ' ', '5 byte'].map((memory): [string, Record<string, unknown>, string] => [
      `memory ${memory}`,
      { name: 'a', schedule: '@manually', executor: 'shell', executor_config: { mem_limit: memory } },
      'is not an amount of memory',
    ]),
  ])('%s does not hold', (_what, body, message) => {
    const result = parseJobInput(body);
    expect(result).toMatchObject({ ok: false, stage: 'validate' });
    if (!result.ok) expect(result.message).toContain(message);
  });

  test('the first fault in Dkron’s order is told', () => {
    const all = {
      name: 'A b',
      parent_job: 'A b',
      concurrency: 'x',
      executor: 'shell',
      executor_config: { timeout: 'x' },
    };
    expect(parseJobInput(all)).toMatchObject({ field: 'name' });
    expect(parseJobInput({ ...all, name: 'a', parent_job: 'a' })).toMatchObject({ field: 'parent_job' });
    expect(parseJobInput({ ...all, name: 'a', parent_job: '' })).toMatchObject({ field: 'schedule' });
    expect(parseJobInput({ ...all, name: 'a', parent_job: 'p' })).toMatchObject({ field: 'concurrency' });
    expect(parseJobInput({ ...all, name: 'a', parent_job: 'p', concurrency: '' })).toMatchObject({
      field: 'executor_config.timeout',
    });
  });

  test.each(['ñandú-2', 'é', 'straße', 'a_b-c0', 'ªº'.slice(0, 0) + 'z'.repeat(240)])('%s is a name', (name) => {
    expect(parsed({ name, schedule: '@manually' }).job.name).toBe(name);
  });

  test.each(['1', '1024', '512MB', '1.5 gb', ' 2k ', '3 Bytes', '1T'])('%j is an amount of memory', (memory) => {
    parsed({ name: 'a', schedule: '@manually', executor: 'shell', executor_config: { mem_limit: memory } });
  });

  test('counters of a backup come along', () => {
    const { job } = parsed({
      name: 'a',
      schedule: '@manually',
      success_count: 7,
      error_count: -1,
      last_success: '2026-01-01T00:00:00.5Z',
      last_error: null,
      status: 'odd',
    });
    expect(job.counters).toEqual({
      successCount: 7,
      errorCount: 0,
      lastSuccessAt: Date.parse('2026-01-01T00:00:00.5Z'),
      lastErrorAt: null,
      status: '',
    });
  });

  test('anything at all: an answer, never an exception', () => {
    const value = fc.oneof(fc.jsonValue({ maxDepth: 3 }), fc.string());
    const fields = [
      'name',
      'schedule',
      'tags',
      'retries',
      'processors',
      'calendars',
      'misfire',
      'retry',
      'starts_at',
      'executor_config',
    ];
    fc.assert(
      fc.property(
        fc.dictionary(fc.oneof(fc.constantFrom(...fields), fc.string()), value),
        (body) => typeof parseJobInput(body).ok === 'boolean',
      ),
      { numRuns: 2000 },
    );
  });
});

describe('jobView', () => {
  test('Dkron’s fields in Dkron’s order and nothing else for a plain job', () => {
    const { job } = parsed({ name: 'a', schedule: '@manually' });
    expect(JSON.stringify(jobView(definitionOf(job), STATE))).toBe(
      '{"id":"a","name":"a","displayname":"","timezone":"","schedule":"@manually","owner":"","owner_email":"","success_count":0,"error_count":0,' +
        '"last_success":null,"last_error":null,"disabled":false,"tags":null,"metadata":null,"retries":0,"dependent_jobs":null,"parent_job":"",' +
        '"processors":{},"concurrency":"allow","executor":"","executor_config":null,"status":"","next":"0001-01-01T00:00:00Z","ephemeral":false,' +
        '"starts_at":null,"expires_at":null}',
    );
  });

  test('what is read can be posted again and means the same', () => {
    const body = {
      name: 'a',
      schedule: '@every 1m',
      targets: 'all',
      guarantee: 'at-least-once',
      misfire: { policy: 'all', max: 5 },
      dst: { gap: 'skip' },
      jitter: '5m',
      calendars: ['xmas', { dates: ['12-25'] }],
      timeout: '1h',
      kill_grace: '1s',
      start_deadline: '2m',
      retry: { delay: '5s' },
      run_if_past: true,
    };
    const { job } = parsed(body);
    const view = JSON.parse(JSON.stringify(jobView(definitionOf(job), STATE))) as Record<string, unknown>;
    expect(view).toMatchObject({
      targets: 'all',
      misfire: body.misfire,
      retry: { delay: '5s', factor: 2 },
    });
    expect(view['misfire']).toEqual(body.misfire);
    expect(definitionOf(parsed(view).job)).toEqual(definitionOf(job));
  });
});
