/**
 * Lint. LAYERS is DESIGN's table of who may import whom; test/house/lint.test.ts plants one violation per rule and fails when a rule has
 * gone quiet, so a rule added here needs a planted violation there.
 */
import { defineConfig } from 'oxlint';
import packageJson from './package.json' with { type: 'json' };

const FOLDERS = [
  'model',
  'core',
  'lib',
  'store',
  'cluster',
  'rpc',
  'executors',
  'processors',
  'server',
  'agent',
  'http',
  'cli',
] as const;
type Folder = (typeof FOLDERS)[number];

/** The files other layers may know of an adapter. */
const PORTS = ['store/database.ts', 'cluster/membership.ts', 'executors/executor.ts', 'processors/processor.ts'];
/** Where SQL lives; what keeps it (sqlite, rqlite) stays hidden. */
const ADAPTERS_OF_STORE = ['**/store/sqlite*', '**/store/rqlite/**', '**/store/schema/**', '**/store/migrations.ts'];

interface Layer {
  /** Own folder included. */
  readonly may: readonly Folder[];
  /** Files of other folders, and globs that stay forbidden in allowed ones. */
  readonly files?: readonly string[];
  readonly never?: readonly string[];
  /** npm packages; left out: any. `node` stands for Node's own modules. */
  readonly packages?: readonly string[];
}

const adapter = (own: Folder): Layer => ({ may: ['model', 'core', 'lib', own], files: PORTS });
const service = (own: Folder): Layer => ({
  may: ['model', 'core', 'lib', 'store', own],
  files: [...PORTS, 'rpc/sessions.ts'],
  never: ADAPTERS_OF_STORE,
});

const LAYERS: Record<Folder, Layer> = {
  model: { may: ['model'], packages: ['zod'] },
  core: { may: ['model', 'core'], packages: [] },
  lib: { may: ['lib'] },
  store: adapter('store'),
  cluster: adapter('cluster'),
  rpc: adapter('rpc'),
  executors: adapter('executors'),
  processors: adapter('processors'),
  server: service('server'),
  agent: service('agent'),
  http: { may: ['model', 'lib', 'http'] },
  cli: { may: ['model', 'lib', 'cli'] },
};

const TIMERS = { regex: '^node:timers', message: 'Take a Clock (src/lib/clock.ts).' };

/** From a layer's top folder and from folders inside it. */
const CLIMBS = ['../', '../../', '../../../', '../../../../'];

function portsOf(folder: Folder, files: readonly string[]): string[] {
  return files.filter((file) => file.startsWith(`${folder}/`)).map((file) => `!**/${file}`);
}

/** no-restricted-imports of one folder. Each folder gets its whole list, because a later override replaces an earlier one. */
function importRules(folder: Folder, alsoMay: readonly Folder[] = []) {
  const { files = [], never = [], packages } = LAYERS[folder];
  const may = [...LAYERS[folder].may, ...alsoMay];
  const hidden = FOLDERS.filter((other) => !may.includes(other)).map((other) => ({
    // Anchored at the climbing dots: executors/http is not the layer http.
    group: [...CLIMBS.map((up) => `${up}${other}/**`), ...portsOf(other, files)],
    message: `src/${folder} may not import src/${other} (oxlint.config.ts, LAYERS).`,
  }));
  const roots = {
    regex: '^(\\.\\./)+(app|main)\\.ts$',
    message: 'Only main.ts and tests import the composition root.',
  };
  const adapters =
    never.length === 0
      ? []
      : [{ group: [...never], message: `src/${folder} knows the store's port and repositories only.` }];
  const timers = folder === 'lib' ? [] : [TIMERS];
  return { patterns: [...hidden, roots, ...adapters, ...timers, ...packageRules(folder, packages)] };
}

function packageRules(folder: Folder, packages: readonly string[] | undefined) {
  if (packages === undefined) return [];
  const names = [...Object.keys(packageJson.dependencies), ...Object.keys(packageJson.devDependencies)];
  const barred = names.filter((name) => !packages.includes(name)).map((name) => name.replaceAll(/[.\\/]/g, '\\$&'));
  return [
    { regex: `^(node:.*|(${barred.join('|')})(/.*)?)$`, message: `src/${folder} is pure: no I/O and no packages.` },
  ];
}

const CLOCK = 'Take a Clock (src/lib/clock.ts) as a parameter.';
const RANDOM = 'Take a Random (src/lib/random.ts) as a parameter.';

/** Time, chance and the end of the process are parameters everywhere but in lib. */
const AMBIENT = {
  'no-restricted-globals': [
    'error',
    { name: 'Date', message: `${CLOCK} For calendars use Temporal.` },
    { name: 'setTimeout', message: CLOCK },
    { name: 'setInterval', message: CLOCK },
    { name: 'setImmediate', message: CLOCK },
  ],
  'no-restricted-properties': [
    'error',
    { object: 'Math', property: 'random', message: RANDOM },
    { object: 'performance', property: 'now', message: CLOCK },
    { object: 'process', property: 'hrtime', message: CLOCK },
    { object: 'Temporal', property: 'Now', message: CLOCK },
    { object: 'process', property: 'exit', message: 'Close what is open; the process ends because nothing is left.' },
  ],
} as const;

export default defineConfig({
  plugins: ['typescript', 'import', 'unicorn', 'oxc', 'node', 'vitest'],
  categories: { correctness: 'error', suspicious: 'error' },
  options: { typeAware: true },
  ignorePatterns: ['**/gen/**', 'test/house/fixtures/**'],
  rules: {
    // Nothing floats, nothing is swallowed, every case is handled.
    'typescript/no-floating-promises': 'error',
    'typescript/no-misused-promises': 'error',
    'typescript/await-thenable': 'error',
    'typescript/only-throw-error': 'error',
    'typescript/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
    'no-empty': 'error',
    'no-async-promise-executor': 'error',
    'import/no-cycle': ['error', { ignoreTypes: true }],
    // The house's ways.
    'typescript/no-explicit-any': 'error',
    'typescript/no-non-null-assertion': 'error',
    'typescript/consistent-type-imports': ['error', { disallowTypeAnnotations: false }],
    'typescript/ban-ts-comment': 'error',
    'unicorn/prefer-node-protocol': 'error',
    'unicorn/filename-case': ['error', { case: 'kebabCase' }],
    'no-warning-comments': ['error', { terms: ['todo', 'fixme', 'xxx', 'hack'] }],
    'no-console': 'error',
    'no-var': 'error',
    'prefer-const': 'error',
    eqeqeq: 'error',
    // Rules of the categories that cost more than they find here.
    'typescript/no-unsafe-type-assertion': 'off', // rows of the store and parsed JSON are narrowed by hand, at the edge
    'typescript/consistent-return': 'off', // tsc's noImplicitReturns finds the real ones
    'unicorn/no-array-sort': 'off', // sorting an array just made is the quick way
    'unicorn/no-array-reverse': 'off',
    'unicorn/consistent-function-scoping': 'off',
    'unicorn/require-post-message-target-origin': 'off', // worker threads have none
    'no-unmodified-loop-condition': 'off', // takes a getter or a captured variable for a constant
    'no-shadow': 'off', // a parameter may have the natural name of its kind
    'vitest/no-standalone-expect': 'off',
    'no-underscore-dangle': 'off',
    'no-control-regex': 'off', // control characters are what some checks look for
    'import/no-named-as-default-member': 'off', // fc.property is how fast-check is written
    'vitest/valid-expect': ['error', { maxArgs: 2 }],
    'vitest/expect-expect': 'off', // fc.assert is an assertion
    'vitest/no-conditional-expect': 'off',
    'vitest/no-conditional-tests': 'off',
    'vitest/valid-title': 'off',
    'vitest/valid-describe-callback': 'off',
    'no-new': 'off', // new RegExp, new Intl.DateTimeFormat: asking whether it throws
  },
  overrides: [
    { files: ['src/**/*.ts'], rules: { 'import/no-default-export': 'error', ...AMBIENT } },
    { files: ['src/lib/**/*.ts'], rules: { 'no-restricted-globals': 'off', 'no-restricted-properties': 'off' } },
    ...FOLDERS.map((folder) => ({
      files: [`src/${folder}/**/*.ts`],
      rules: { 'no-restricted-imports': ['error' as const, importRules(folder)] },
    })),
    {
      // The runner is the process that owns the runs: it alone carries out what the executors say.
      files: ['src/agent/runner/**/*.ts'],
      rules: { 'no-restricted-imports': ['error', importRules('agent', ['executors'])] },
    },
    {
      // Tests look everywhere and use real time; module mocks are the one thing they never do.
      files: ['**/*.test.ts', 'test/**/*.ts', 'bench/**/*.ts', 'scripts/**/*.ts', '*.config.ts'],
      rules: {
        'no-restricted-imports': 'off',
        'no-restricted-globals': 'off',
        'no-restricted-properties': [
          'error',
          ...['mock', 'doMock', 'hoisted'].map((property) => ({
            object: 'vi',
            property,
            message: 'Write a real implementation of the port.',
          })),
        ],
        'no-console': 'off',
        // What an API answered is taken as it comes: the assertion is the check.
        'typescript/no-explicit-any': 'off',
        'typescript/no-unnecessary-type-parameters': 'off',
        'vitest/no-focused-tests': 'error',
        'vitest/no-disabled-tests': 'error',
      },
    },
    { files: ['test/kit/skip.ts'], rules: { 'vitest/no-disabled-tests': 'off' } },
  ],
});
