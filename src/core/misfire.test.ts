import { describe, expect, test } from 'vitest';
import { decideMisfires, type Instants, type MisfirePolicy } from './misfire.ts';

/** Every ten. */
const TENS: Instants = {
  count: (from, to) => ({ count: Math.floor(to / 10) - Math.floor(from / 10), exact: true }),
  first: (from, to) => {
    const next = Math.floor(from / 10) * 10 + 10;
    return next <= to ? next : undefined;
  },
  newest: (to, after) => {
    const last = Math.floor(to / 10) * 10;
    return last > after ? last : undefined;
  },
};

const range = { from: 0, to: 95, now: 200, laterDue: false };
const policy = (more: Partial<MisfirePolicy>): MisfirePolicy => ({
  graceMs: 100,
  policy: 'last',
  windowMs: 1_000,
  max: 3,
  ...more,
});

describe('decideMisfires', () => {
  test('skip drops all', () => {
    expect(decideMisfires(policy({ policy: 'skip' }), TENS, range)).toEqual({
      run: [],
      dropped: [{ first: 10, last: 90, count: 9, exact: true, reason: 'policy' }],
    });
  });

  test('last runs the newest', () => {
    expect(decideMisfires(policy({}), TENS, range)).toEqual({
      run: [90],
      dropped: [{ first: 10, last: 80, count: 8, exact: true, reason: 'superseded' }],
    });
  });

  test('last runs none when a later one is due', () => {
    const decision = decideMisfires(policy({}), TENS, { ...range, laterDue: true });
    expect(decision.run).toEqual([]);
    expect(decision.dropped).toMatchObject([{ count: 9, reason: 'superseded' }]);
  });

  test('last runs none that is outside the window', () => {
    const decision = decideMisfires(policy({ windowMs: 50 }), TENS, range);
    expect(decision).toMatchObject({ run: [], dropped: [{ count: 9, reason: 'window' }] });
  });

  test('all runs the newest of the window, at most max', () => {
    const decision = decideMisfires(policy({ policy: 'all', windowMs: 150 }), TENS, range);
    expect(decision.run).toEqual([70, 80, 90]);
    expect(decision.dropped).toMatchObject([
      { first: 10, last: 40, reason: 'window' },
      { first: 50, last: 60, reason: 'max' },
    ]);
  });

  test('a window that ends before the range drops the range and nothing after it', () => {
    const decision = decideMisfires(policy({ policy: 'all', windowMs: 10 }), TENS, range);
    expect(decision).toMatchObject({ run: [], dropped: [{ first: 10, last: 90, count: 9, reason: 'window' }] });
  });
});
