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

const problemsOf = (...argv: string[]) =>
  parseFlags(argv).problems.map(({ message, remedy }) => `${message}. ${remedy}`);

test('a boolean takes no word after it, and says how its value is written', () => {
  expect(flagsOf('--drain', 'now')).toEqual(['drain=true']);
  expect(problemsOf('--drain', 'yes')).toEqual([
    'unexpected argument "yes". The value of --drain is attached: --drain=true or --drain=false.',
  ]);
  expect(problemsOf('--no-drain=false')).toEqual(['--no-drain: takes no value. Write --drain=true.']);
});

test('what is missing or out of place is said', () => {
  expect(problemsOf('--node-name')).toEqual(['--node-name: needs a value. Write --node-name VALUE.']);
  expect(problemsOf('--node-name', '--drain')).toHaveLength(1);
  expect(problemsOf('start', '--', '-')).toEqual(
    ['start', '--', '-'].map((word) => `unexpected argument "${word}". Options are written --name value.`),
  );
  expect(flagsOf('--nonsense', 'value', '--no-nonsense')).toEqual(['nonsense=value', 'no-nonsense=']);
});

test('no argument is lost and nothing throws', () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.string(), fc.constantFrom('--tag', '--drain', '--x', '--no-ui', '--=', '--a=b'))),
      (argv) => {
        const { flags, problems } = parseFlags(argv);
        return flags.length * 2 + problems.length >= argv.length;
      },
    ),
  );
});
