import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseFlags } from './flags.ts';

const flagsOf = (...argv: string[]) => parseFlags(argv).flags.map(({ name, value }) => `${name}=${value}`);

test('each way of writing a flag', () => {
  expect(flagsOf('--max-runs', '5', '--max-runs=6', '-max-runs=7')).toEqual(['max-runs=5', 'max-runs=6', 'max-runs=7']);
  expect(flagsOf('--drain', '--drain=false', '--no-ui', '--server')).toEqual([
    'drain=true',
    'drain=false',
    'ui=false',
    'server=true',
  ]);
  expect(flagsOf('--tag', 'a=b=c', '--tag=d=e')).toEqual(['tag=a=b=c', 'tag=d=e']);
  expect(flagsOf('--max-runs', '-3')).toEqual(['max-runs=-3']);
});

test('a boolean takes no word after it', () => {
  expect(parseFlags(['--drain', 'now'])).toMatchObject({ flags: [{ name: 'drain', value: 'true' }], rest: ['now'] });
});

test('what is missing or out of place is kept for the one who complains', () => {
  expect(parseFlags(['--node-name'])).toMatchObject({ flags: [], lacking: ['node-name'] });
  expect(parseFlags(['--node-name', '--drain'])).toMatchObject({ lacking: ['node-name'] });
  expect(parseFlags(['start', '--', '-'])).toMatchObject({ flags: [], rest: ['start', '--', '-'] });
  expect(flagsOf('--nonsense', 'value', '--no-nonsense')).toEqual(['nonsense=value', 'no-nonsense=']);
});

test('no argument is lost and nothing throws', () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.string(), fc.constantFrom('--tag', '--drain', '--x', '--no-ui', '--=', '--a=b'))),
      (argv) => {
        const { flags, rest, lacking } = parseFlags(argv);
        return flags.length * 2 + rest.length + lacking.length >= argv.length;
      },
    ),
  );
});
