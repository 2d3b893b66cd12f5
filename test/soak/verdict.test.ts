// The soak's judge finds each kind of growth.
import { expect, test } from 'vitest';
import { judgeSoak, type Sample } from './verdict.ts';

const MIB = 2 ** 20;
const flat = (atS: number): Sample => ({
  atS,
  nodeBytes: 90 * MIB,
  runnerBytes: 50 * MIB,
  nodeFiles: 30 + (atS % 3),
  runnerFiles: 20,
  spareFiles: 90,
  databaseBytes: 40 * MIB,
  ended: atS * 50,
});
const samples = (change: (atS: number) => Partial<Sample>): Sample[] =>
  Array.from({ length: 60 }, (_, index) => ({ ...flat(index * 10), ...change(index * 10) }));
const failed = (list: Sample[]) =>
  judgeSoak(list, { warmUpS: 100, rate: 50 }).flatMap((check) => (check.passed ? [] : [check.name]));

test.each<[string, (atS: number) => Partial<Sample>, string[]]>([
  ['steady', () => ({}), []],
  ['growth in the warm-up only', (atS) => (atS < 100 ? { nodeBytes: 40 * MIB, databaseBytes: MIB } : {}), []],
  ['memory that grows', (atS) => ({ nodeBytes: (90 + atS / 20) * MIB }), ['memory of the node']],
  ['a runner that grows', (atS) => ({ runnerBytes: (50 + atS / 20) * MIB }), ['memory of the runner']],
  ['a leaked descriptor', (atS) => ({ nodeFiles: 30 + Math.floor(atS / 300) }), ['open files of the node']],
  ['spare files that follow a peak', (atS) => ({ spareFiles: atS > 300 ? 110 : 90 }), []],
  ['spare files without end', (atS) => ({ spareFiles: 300 + atS / 2 }), ['spare output files']],
  ['a database that grows', (atS) => ({ databaseBytes: (40 + atS / 100) * MIB }), ['database at its plateau']],
  ['runs that fall behind', (atS) => ({ ended: atS * 45 }), ['pace']],
])('%s', (_name, change, names) => expect(failed(samples(change))).toEqual(names));
