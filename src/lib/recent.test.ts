import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RecentNumbers } from './recent.ts';

test('it holds the last so many, oldest first, as a list that forgets from its front does', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5 }), fc.array(fc.integer({ min: 0, max: 9 })), (capacity, numbers) => {
      const recent = new RecentNumbers(capacity);
      let list: number[] = [];
      for (const number of numbers) {
        recent.add(number);
        if (!list.includes(number)) list = [...list, number].slice(-capacity);
        expect([...recent]).toEqual(list);
        expect(recent.size).toBe(list.length);
        for (let asked = 0; asked < 10; asked++) expect(recent.has(asked)).toBe(list.includes(asked));
      }
    }),
  );
});
