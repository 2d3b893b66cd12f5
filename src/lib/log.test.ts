import { expect, test } from 'vitest';
import { createLog, type LogOptions } from './log.ts';

function linesOf(options: Partial<LogOptions>, talk: (log: ReturnType<typeof createLog>) => void): string[] {
  const lines: string[] = [];
  talk(createLog({ logLevel: 'info', logFormat: 'json', nodeName: 'n1', ...options }, (line) => lines.push(line)));
  return lines;
}

test('JSON: one object a line with ISO time, level word and node', () => {
  const [line = '', ...more] = linesOf({}, (log) => log.info({ job: 'a' }, 'started'));
  expect(more).toEqual([]);
  expect(JSON.parse(line)).toEqual({
    level: 'info',
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
    node: 'n1',
    job: 'a',
    msg: 'started',
  });
});

test('below the level nothing is written', () => {
  expect(linesOf({ logLevel: 'warn' }, (log) => log.info('x'))).toEqual([]);
});

test('what jobs run, carry and prove themselves with is never written', () => {
  const secrets = { command: 's3cret', env: { A: 's3cret' }, headers: 's3cret', body: 's3cret', token: 's3cret' };
  for (const logFormat of ['json', 'pretty'] as const) {
    const text = linesOf({ logFormat }, (log) => log.warn({ ...secrets, job: secrets }, 'x')).join('');
    expect(text).not.toContain('s3cret');
    expect(text).toContain('(redacted)');
  }
});

test('pretty: one readable line, the stack below it, no control characters from outside', () => {
  const [line = ''] = linesOf({ logFormat: 'pretty' }, (log) =>
    log.error({ job: 'a b', count: 3, err: new Error('broken\u001b[2J') }, 'it\u001b[31m\nfailed'),
  );
  expect(line).toMatch(
    /^\d\d:\d\d:\d\d\.\d{3} ERROR it\?\[31m\?failed job="a b" count=3\n {4}Error: broken\?\[2J\n {4}/,
  );
  expect(line).toMatch(/\n$/);
});
