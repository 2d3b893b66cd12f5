import { describe, expect, test } from 'vitest';
import { type Credentials, hashPassword, parseCredentials } from './credentials.ts';

const basic = (pair: string) => `Basic ${Buffer.from(pair).toString('base64')}`;

function good(files: { basic?: string; tokens?: string }): { credentials: Credentials; warnings: string[] } {
  const parsed = parseCredentials(files);
  if (!parsed.ok) throw new Error(parsed.message);
  return parsed;
}

describe('credentials', () => {
  test('users with plain and hashed passwords', async () => {
    const hashed = await hashPassword('s:crét');
    const { credentials, warnings } = good({ basic: `# people\nann:plain one\n\nbob:${hashed}\r\n` });
    expect(warnings).toEqual(['line 2 of the basic file holds a plain password']);
    expect(await credentials.check(basic('ann:plain one'))).toBe('ok');
    expect(await credentials.check(basic('bob:s:crét'))).toBe('ok');
    expect(credentials.check(basic('bob:s:crét'))).toBe('ok'); // remembered: no scrypt the second time
    for (const pair of ['ann:plain', 'bob:s:cret', 'eve:plain one', 'ann', ':', ''])
      expect(await credentials.check(basic(pair))).toBe('wrong');
    expect(await credentials.check(undefined)).toBe('missing');
    expect(await credentials.check('Bearer 0123456789abcdef')).toBe('wrong');
    expect(await credentials.check('Digest x')).toBe('wrong');
    expect(credentials.challenges).toEqual(['Basic realm="belfry", charset="UTF-8"']);
  });

  test('tokens', () => {
    const { credentials } = good({ tokens: '0123456789abcdef\n# second\nfedcba9876543210\n' });
    expect(credentials.check('Bearer fedcba9876543210')).toBe('ok');
    expect(credentials.check('bearer  0123456789abcdef ')).toBe('ok');
    for (const token of ['0123456789abcde', '0123456789abcdeg', '', '# second'])
      expect(credentials.check(`Bearer ${token}`)).toBe('wrong');
    expect(credentials.challenges).toEqual(['Bearer realm="belfry"']);
  });

  test.each([
    [{ basic: 'nobody\n' }, 'line 1 is not user:password'],
    [{ basic: 'a:\n' }, 'line 1 is not user:password'],
    [{ basic: 'a:x\n\na:y\n' }, 'line 3 names a user again'],
    [{ basic: 'a:scrypt$99$8$1$AAAA$BBBB' }, 'line 1 holds a scrypt hash that is not one'],
    [{ tokens: 'short' }, 'line 1 is not a token'],
    [{ tokens: '# none\n' }, 'holds no user and no token'],
  ])('%j is refused by line, without its content', (files, message) => {
    const parsed = parseCredentials(files);
    expect(parsed).toMatchObject({ ok: false, file: Object.keys(files)[0] });
    if (!parsed.ok) expect(parsed.message).toContain(message);
  });

  test('many guesses at once wait in a short line', async () => {
    const { credentials } = good({ basic: `bob:${await hashPassword('x')}` });
    const verdicts = Array.from({ length: 22 }, (_, i) => credentials.check(basic(`eve:${i}`)));
    expect(verdicts.filter((verdict) => verdict === 'busy')).toHaveLength(6);
    expect(new Set(await Promise.all(verdicts.map(async (verdict) => verdict)))).toEqual(new Set(['wrong', 'busy']));
  });
});
