import { array, assert, property, string } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { maskedHeader, parseHeaders, requestHeaders } from './http-headers.ts';

const run = { job: 'nightly', id: '1-n', group: 1700000000000000, attempt: 2, scheduledAt: Date.UTC(2026, 10, 22, 17) };

function read(text: string): [string, string][] {
  const parsed = parseHeaders(text);
  if (!parsed.ok) throw new Error(parsed.problem);
  return parsed.headers.map(({ name, value }) => [name, value]);
}

function problem(text: string): string {
  const parsed = parseHeaders(text);
  return parsed.ok ? '' : parsed.problem;
}

describe('parseHeaders', () => {
  it.each<[string, [string, string][]]>([
    ['', []],
    ['  ', []],
    ['[]', []],
    ['["A: b"]', [['A', 'b']]],
    ['["A:b", "C : d "]', [['A', 'b'], ['C', 'd']]],
    ['["Referer: http://host:80/x?t=12:30:00"]', [['Referer', 'http://host:80/x?t=12:30:00']]],
    ['["Empty:"]', [['Empty', '']]],
    ['["", "A: 1"]', [['A', '1']]],
    ['["A: 1", "a: 2"]', [['a', '2']]],
    ['["Content-Length: 5", "Host: other:81"]', [['Host', 'other:81']]],
    ['{"A": "b:c", "D": "e"}', [['A', 'b:c'], ['D', 'e']]],
  ])('%s', (text, expected) => expect(read(text)).toEqual(expected)); // prettier-ignore

  it.each([
    ['["A: 1", "secret-token"]', 'headers: entry 2 has no colon: write it as "Name: value"'],
    ['[": secret"]', 'headers: entry 1 has a name that is no header name: use letters, digits and "-"'],
    ['["A b: secret"]', 'headers: entry 1 has a name that is no header name: use letters, digits and "-"'],
    [
      '["A: sec\\r\\nret: x"]',
      'headers: entry 1 has a control character in its value, perhaps a line break: remove it',
    ],
    ['[1]', 'headers: entry 1 is not a string: write it as "Name: value"'],
    ['{"A": 1}', 'headers: entry 1 has a value that is not a string: put it in quotes'],
    ['A: secret', 'headers is not JSON: write it as ["Name: value", "Other: value"]'],
    ['"A: secret"', 'headers is not a JSON array: write it as ["Name: value", "Other: value"]'],
    ['null', 'headers is not a JSON array: write it as ["Name: value", "Other: value"]'],
  ])('%s → %s', (text, expected) => expect(problem(text)).toBe(expected));

  it('ignores what the connection and Belfry own, and says so without the value', () => {
    const parsed = parseHeaders(
      '["Transfer-Encoding: secret", "Belfry-Job: secret", "Connection: upgrade", "connection: close"]',
    );
    expect(parsed).toMatchObject({ ok: true, headers: [{ name: 'connection', value: 'close' }] });
    const warnings = parsed.ok ? parsed.warnings.join('\n') : '';
    expect(warnings.split('\n')).toHaveLength(3);
    expect(warnings).not.toContain('secret');
  });

  it('never throws and never quotes a value', () => {
    const quiet = (text: string) => {
      const parsed = parseHeaders(text);
      return parsed.ok || !parsed.problem.includes('needle');
    };
    const lines = array(string()).map((all) => JSON.stringify(all.map((line) => `${line}needle`)));
    expect(() => assert(property(lines, quiet))).not.toThrow();
    expect(() => assert(property(string(), quiet))).not.toThrow();
  });
});

describe('requestHeaders', () => {
  it('carries what SEMANTICS §5 names', () => {
    expect(requestHeaders([], run)).toEqual([
      'Belfry-Job', 'nightly', 'Belfry-Scheduled-At', '2026-11-22T17:00:00Z', 'Belfry-Execution-Id', '1-n', 'Belfry-Attempt', '2',
      'Idempotency-Key', '1700000000000000', 'User-Agent', 'Belfry',
    ]); // prettier-ignore
  });

  it.each([
    [0, '2026-11-22T17:00:00Z'],
    [5, '2026-11-22T17:00:00.005Z'],
    [120, '2026-11-22T17:00:00.120Z'],
  ])('writes milliseconds as three digits, only when not zero (%i)', (ms, text) =>
    expect(requestHeaders([], { ...run, scheduledAt: run.scheduledAt + ms })[3]).toBe(text),
  );

  it('lets the job’s own headers win', () => {
    const flat = requestHeaders(
      [
        { name: 'idempotency-key', value: 'mine' },
        { name: 'User-agent', value: 'x' },
      ],
      run,
    );
    expect(flat.filter((part) => /^(idempotency-key|user-agent)$/i.test(part))).toEqual([
      'idempotency-key',
      'User-agent',
    ]);
  });

  it('writes UTF-8 bytes', () => {
    expect(requestHeaders([{ name: 'X', value: 'é' }], run)).toContain('\u00c3\u00a9');
  });
});

it('masks values but those that never hold secrets', () => {
  expect(maskedHeader({ name: 'Authorization', value: 'secret' })).toBe('Authorization: ***');
  expect(maskedHeader({ name: 'content-type', value: 'text/plain' })).toBe('content-type: text/plain');
});
