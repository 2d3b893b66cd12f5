/**
 * The lint rules of the house, each shown to fire: a tree with one planted violation per file, linted with the real configuration, must
 * give exactly the rule each file was written for. Without this a rule that has gone quiet (a renamed option, a wrong glob) looks like a
 * clean tree.
 */
import { execFile } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '..', '..');

/** DESIGN's table, written a second time on purpose: who may import whom. */
const MAY: Readonly<Record<string, readonly string[]>> = {
  model: ['model'],
  core: ['model', 'core'],
  lib: ['lib'],
  store: ['model', 'core', 'lib', 'store'],
  cluster: ['model', 'core', 'lib', 'cluster'],
  rpc: ['model', 'core', 'lib', 'rpc'],
  executors: ['model', 'core', 'lib', 'executors'],
  processors: ['model', 'core', 'lib', 'processors'],
  server: ['model', 'core', 'lib', 'store', 'server'],
  agent: ['model', 'core', 'lib', 'store', 'agent'],
  http: ['model', 'lib', 'http'],
  cli: ['model', 'lib', 'cli'],
};
const FOLDERS = Object.keys(MAY);

/** One planted file and the rules that must fire in it, no more and no fewer. */
interface Plant {
  readonly path: string;
  readonly source: string;
  readonly rules: readonly string[];
}

const plant = (path: string, source: string, ...rules: string[]): Plant => ({ path, source: `${source}\n`, rules });

const imports = (path: string, from: string, allowed: boolean): Plant =>
  plant(
    path,
    `import { thing } from '${from}';\n\nexport const used = thing;`,
    ...(allowed ? [] : ['no-restricted-imports']),
  );

/** Every folder importing every folder, from its top and from a folder inside it. */
const LAYERS: Plant[] = FOLDERS.flatMap((folder) =>
  FOLDERS.filter((other) => other !== folder).flatMap((other) => {
    const allowed = MAY[folder]?.includes(other) === true;
    return [
      imports(`src/${folder}/from-${other}.ts`, `../${other}/thing.ts`, allowed),
      imports(`src/${folder}/deep/from-${other}.ts`, `../../${other}/thing.ts`, allowed),
    ];
  }),
);

const DOORS: Plant[] = [
  imports('src/executors/port-of-store.ts', '../store/database.ts', true),
  imports('src/executors/port-of-processors.ts', '../processors/processor.ts', true),
  imports('src/store/port-of-executors.ts', '../executors/executor.ts', true),
  imports('src/server/port-of-executors.ts', '../executors/executor.ts', true),
  imports('src/server/sessions.ts', '../rpc/sessions.ts', true),
  imports('src/server/adapter.ts', '../store/sqlite.ts', false),
  imports('src/agent/adapter.ts', '../store/rqlite/database.ts', false),
  imports('src/http/port-of-store.ts', '../store/database.ts', false),
  imports('src/server/root.ts', '../app.ts', false),
  imports('src/agent/deep/root.ts', '../../main.ts', false),
  imports('src/http/own-app.ts', './app.ts', true),
  imports('src/core/own.ts', './thing.ts', true),
  imports('src/agent/runner/executors.ts', '../../executors/thing.ts', true),
  imports('src/agent/runner/http-executor.ts', '../../executors/http/http.ts', true),
  imports('src/executors/far/away/from/store.ts', '../../../../store/thing.ts', false),
  imports('src/executors/far/away/from/port.ts', '../../../../store/database.ts', true),
  imports('src/agent/runner/server.ts', '../../server/thing.ts', false),
];

const PURE: Plant[] = [
  plant(
    'src/core/reads.ts',
    "import { readFileSync } from 'node:fs';\n\nexport const text = readFileSync('x');",
    'no-restricted-imports',
  ),
  plant(
    'src/model/reads.ts',
    "import { hostname } from 'node:os';\n\nexport const name = hostname();",
    'no-restricted-imports',
  ),
  plant('src/core/packages.ts', "import { z } from 'zod';\n\nexport const text = z.string();", 'no-restricted-imports'),
  plant('src/model/zod.ts', "import { z } from 'zod';\n\nexport const text = z.string();"),
  plant('src/model/packages.ts', "import { pino } from 'pino';\n\nexport const log = pino();", 'no-restricted-imports'),
  plant('src/lib/reads.ts', "import { hostname } from 'node:os';\n\nexport const name = hostname();"),
];

const AMBIENT: Plant[] = [
  plant('src/server/date-now.ts', 'export const now = () => Date.now();', 'no-restricted-globals'),
  plant('src/core/new-date.ts', 'export const at = new Date(5);', 'no-restricted-globals'),
  plant('src/core/date-utc.ts', 'export const at = Date.UTC(2026, 1);', 'no-restricted-globals'),
  plant('src/store/chance.ts', 'export const chance = Math.random();', 'no-restricted-properties'),
  plant('src/agent/performance.ts', 'export const now = performance.now();', 'no-restricted-properties'),
  plant('src/agent/hrtime.ts', 'export const now = process.hrtime();', 'no-restricted-properties'),
  plant('src/core/temporal.ts', 'export const now = Temporal.Now.instant();', 'no-restricted-properties'),
  plant('src/server/timeout.ts', 'export const timer = setTimeout(() => undefined, 5);', 'no-restricted-globals'),
  plant('src/server/interval.ts', 'export const timer = setInterval(() => undefined, 5);', 'no-restricted-globals'),
  plant('src/server/immediate.ts', 'export const timer = setImmediate(() => undefined);', 'no-restricted-globals'),
  plant(
    'src/http/timers.ts',
    "import { setTimeout as wait } from 'node:timers/promises';\n\nexport const pause = wait;",
    'no-restricted-imports',
  ),
  plant('src/cli/exit.ts', 'export const end = () => process.exit(1);', 'no-restricted-properties'),
  plant('src/app-time.ts', 'export const now = Date.now();', 'no-restricted-globals'),
  plant(
    'src/lib/everything.ts',
    'export const now = [Date.now(), new Date(5), Math.random(), performance.now()];\nsetImmediate(() => undefined);',
  ),
  plant('src/core/time.test.ts', 'export const now = [Date.now(), Math.random()];'),
];

const ASYNC = 'async function work(): Promise<void> {\n  await Promise.resolve();\n}\n\n';

const HABITS: Plant[] = [
  plant('src/server/floating.ts', `${ASYNC}export function start(): void {\n  work();\n}`, 'no-floating-promises'),
  plant(
    'src/server/misused.ts',
    `${ASYNC}export function start(items: string[]): void {\n  items.forEach(work);\n}`,
    'no-misused-promises',
  ),
  plant(
    'src/server/awaited.ts',
    'export async function start(value: number): Promise<number> {\n  return await value;\n}',
    'await-thenable',
  ),
  plant('src/server/thrown.ts', "export function start(): void {\n  throw 'text';\n}", 'only-throw-error'),
  plant(
    'src/server/empty-catch.ts',
    'export function start(work: () => void): void {\n  try {\n    work();\n  } catch {}\n}',
    'no-empty',
  ),
  plant(
    'src/server/switch.ts',
    "export function start(kind: 'a' | 'b'): number {\n  switch (kind) {\n    case 'a':\n      return 1;\n  }\n  return 2;\n}",
    'switch-exhaustiveness-check',
  ),
  plant('src/server/any.ts', 'export const value: any = 5;', 'no-explicit-any'),
  plant('src/server/sure.ts', 'export const first = (list: string[]): string => list[0]!;', 'no-non-null-assertion'),
  plant('src/server/ignored.ts', '// @ts-ignore\nexport const value: string = 5;', 'ban-ts-comment'),
  plant('src/server/default.ts', 'export default 5;', 'no-default-export'),
  plant(
    'src/server/bare.ts',
    "import { hostname } from 'os';\n\nexport const name = hostname();",
    'prefer-node-protocol',
  ),
  plant('src/server/camelCase.ts', 'export const value = 5;', 'filename-case'),
  plant('src/server/later.ts', '// TODO: write it\nexport const value = 5;', 'no-warning-comments'),
  plant('src/server/console.ts', "console.log('x');\n\nexport const value = 5;", 'no-console'),
  plant('src/server/loose.ts', 'export const same = (a: unknown): boolean => a == 5;', 'eqeqeq'),
  plant('src/server/let.ts', 'export function start(): number {\n  let value = 5;\n  return value;\n}', 'prefer-const'),
  plant(
    'src/server/var.ts',
    'export function start(): number {\n  var value = 5;\n  value += 1;\n  return value;\n}',
    'no-var',
  ),
  plant(
    'src/server/types.ts',
    "import { Shape } from './shape.ts';\n\nexport const value: Shape = { a: 1 };",
    'consistent-type-imports',
  ),
  plant('src/server/cycle-a.ts', "import { b } from './cycle-b.ts';\n\nexport const a = (): unknown => b;", 'no-cycle'),
  plant('src/server/cycle-b.ts', "import { a } from './cycle-a.ts';\n\nexport const b = (): unknown => a;", 'no-cycle'),
  plant('test/mocked.test.ts', "import { vi } from 'vitest';\n\nvi.mock('./x.ts');", 'no-restricted-properties'),
  plant(
    'test/focused.test.ts',
    "import { expect, test } from 'vitest';\n\ntest.only('x', () => expect(1).toBe(1));",
    'no-focused-tests',
  ),
  plant(
    'test/disabled.test.ts',
    "import { expect, test } from 'vitest';\n\ntest.skip('x', () => expect(1).toBe(1));",
    'no-disabled-tests',
  ),
];

const PLANTS = [...LAYERS, ...DOORS, ...PURE, ...AMBIENT, ...HABITS];

/** What the planted files import; clean themselves. */
const SUPPORT = [
  ...FOLDERS.map((folder) => `src/${folder}/thing.ts`),
  ...[
    'store/database',
    'store/sqlite',
    'store/rqlite/database',
    'processors/processor',
    'executors/http/http',
    'executors/executor',
    'rpc/sessions',
    'http/app',
  ].map((name) => `src/${name}.ts`),
  'src/app.ts',
  'src/main.ts',
];

let tree: string;
let found: ReadonlyMap<string, readonly string[]>;

beforeAll(async () => {
  tree = mkdtempSync(join(tmpdir(), 'belfry-lint-'));
  for (const name of ['oxlint.config.ts', 'package.json', 'tsconfig.json'])
    copyFileSync(join(root, name), join(tree, name));
  symlinkSync(join(root, 'node_modules'), join(tree, 'node_modules'));
  for (const path of SUPPORT) write(path, 'export const thing = 5;\n');
  write('src/server/shape.ts', 'export interface Shape {\n  a: number;\n}\n');
  for (const { path, source } of PLANTS) write(path, source);
  found = await lint();
});

afterAll(() => rmSync(tree, { recursive: true, force: true }));

function write(path: string, source: string): void {
  mkdirSync(dirname(join(tree, path)), { recursive: true });
  writeFileSync(join(tree, path), source);
}

/** Path → names of the rules that fired, without their plugin, each once. */
async function lint(): Promise<Map<string, string[]>> {
  const output = await new Promise<string>((done) => {
    const file = join(root, 'node_modules', '.bin', 'oxlint');
    // It exits with 1 because it finds something; what it says is what counts.
    execFile(file, ['-f', 'json', 'src', 'test'], { cwd: tree, maxBuffer: 2 ** 26 }, (_error, stdout) => done(stdout));
  });
  const { diagnostics } = JSON.parse(output) as { diagnostics: { code: string; filename: string }[] };
  const rules = new Map<string, string[]>();
  for (const { code, filename } of diagnostics) {
    const rule = /\(([^)]+)\)/.exec(code)?.[1] ?? code;
    rules.set(filename, [...new Set([...(rules.get(filename) ?? []), rule])].toSorted());
  }
  return rules;
}

describe.each([
  ['who may import whom', LAYERS],
  ['ports and composition roots', DOORS],
  ['model and core are pure', PURE],
  ['time and chance are parameters', AMBIENT],
  ['habits', HABITS],
])('%s', (_name, plants) => {
  test.each(plants.map(({ path, rules }) => [path, rules.join(', ') || 'nothing', rules] as const))(
    '%s: %s',
    (path, _rules, rules) => {
      expect(found.get(path) ?? []).toEqual(rules);
    },
  );
});

test('files that are right are left alone', () => {
  expect(SUPPORT.filter((path) => found.has(path))).toEqual([]);
});
