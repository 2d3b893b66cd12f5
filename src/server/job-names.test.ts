import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BLOCK_MAX, compareNames, JobNames } from './job-names.ts';

const inBytes = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b));

test('names are in the order of their bytes, as in the store', () => {
  // The last two: U+FB00 comes before U+10428 in bytes, and after it in UTF-16 units.
  const letters = fc.constantFrom('a', 'b', '9', '_', '-', 'é', 'ß', 'ﬀ', '𐐨');
  const name = fc.string({ unit: letters, maxLength: 4 });
  fc.assert(
    fc.property(name, name, (a, b) => {
      expect(Math.sign(compareNames(a, b))).toBe(Math.sign(inBytes(a, b)));
    }),
    {
      examples: [
        ['ﬀ', '𐐨'],
        ['aﬀ', 'a𐐨'],
      ],
    },
  );
});

type Change = { kind: 'set' | 'delete'; name: string; displayname: string };

test('pages and searches agree with a sorted list, whatever was added and taken away', () => {
  const word = fc.string({ unit: fc.constantFrom('a', 'b', 'c', 'ﬀ', '𐐨'), minLength: 1, maxLength: 3 });
  const change: fc.Arbitrary<Change> = fc.record({
    kind: fc.constantFrom('set', 'set', 'delete'),
    name: word,
    displayname: fc.oneof(fc.constant(''), word),
  });
  fc.assert(
    fc.property(
      fc.array(change, { maxLength: 60 }),
      word,
      fc.nat(8),
      fc.nat(8),
      fc.boolean(),
      (changes, q, start, length, descending) => {
        const names = new JobNames();
        const model = new Map<string, { id: number; displayname: string }>();
        let id = 0;
        for (const { kind, name, displayname } of changes) {
          if (kind === 'set') {
            const known = model.get(name)?.id ?? ++id;
            names.set(name, known, displayname);
            model.set(name, { id: known, displayname });
          } else {
            names.delete(name, -1);
            names.delete(name, model.get(name)?.id ?? 0);
            model.delete(name);
          }
        }
        const sorted = [...model].sort(([a], [b]) => inBytes(a, b));
        if (descending) sorted.reverse();
        const idsOf = (list: typeof sorted) => list.slice(start, start + length).map(([, job]) => job.id);
        const range = { start, end: start + length, descending };
        const found = sorted.filter(([name, { displayname }]) => name.includes(q) || displayname.includes(q));
        expect(names.size).toBe(model.size);
        expect(names.page(range)).toEqual(idsOf(sorted));
        expect(names.search(q, range)).toEqual({ total: found.length, ids: idsOf(found) });
        expect(names.search(q, { ...range, end: null }).ids).toEqual(found.slice(start).map(([, job]) => job.id));
      },
    ),
    { numRuns: 300 },
  );
});

test.each(['in order', 'backwards', 'mixed'])('many blocks, filled %s', (how) => {
  const count = BLOCK_MAX * 5 + 7;
  const name = (n: number) => `job-${String(n).padStart(6, '0')}`;
  const order = Array.from({ length: count }, (_, i) =>
    how === 'in order' ? i : how === 'backwards' ? count - 1 - i : (i * 2741) % count,
  );
  const names = new JobNames();
  for (const n of order) names.set(name(n), n, '');
  expect(names.size).toBe(count);
  expect(names.page({ start: 0, end: null, descending: false })).toEqual(Array.from({ length: count }, (_, i) => i));
  expect(names.page({ start: 2000, end: 2050, descending: true })).toEqual(
    Array.from({ length: 50 }, (_, i) => count - 1 - 2000 - i),
  );
  expect(names.search('-00204', { start: 1, end: 3, descending: false })).toEqual({ total: 10, ids: [2041, 2042] });
  expect(names.search('1\u0000', { start: 0, end: null, descending: false })).toEqual({ total: 0, ids: [] });
  for (let n = 0; n < count; n += 2) names.delete(name(n), n);
  expect(names.page({ start: 1500, end: 1503, descending: false })).toEqual([3001, 3003, 3005]);
  for (let n = 1; n < count; n += 2) names.delete(name(n), n);
  expect(names.size).toBe(0);
  expect(names.page({ start: 0, end: null, descending: false })).toEqual([]);
});
