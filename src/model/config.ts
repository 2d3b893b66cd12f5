/**
 * The only list of options. Flags, BELFRY_ environment names, file keys, `--help`, docs/configuration.md, the dump without secrets and the type
 * `Config` all derive from it. To add one: add it under options/, use `config.<field>` where it is obeyed, run `npm run gen`.
 */
import type { Option } from './option.ts';
import { HTTP_OPTIONS } from './options/http.ts';
import { NODE_OPTIONS } from './options/node.ts';
import { OUTPUT_OPTIONS } from './options/output.ts';
import { RUNS_OPTIONS } from './options/runs.ts';
import { SCHEDULING_OPTIONS } from './options/scheduling.ts';

/** Field of `Config` → option. Fields carry their unit; names are what a person writes. */
export const OPTIONS = {
  ...NODE_OPTIONS,
  ...HTTP_OPTIONS,
  ...SCHEDULING_OPTIONS,
  ...RUNS_OPTIONS,
  ...OUTPUT_OPTIONS,
} as const;

export type OptionField = keyof typeof OPTIONS;

/** Every option with its value: the parsed, checked, merged configuration of a node. */
export type Config = {
  readonly [F in OptionField]: (typeof OPTIONS)[F] extends Option<infer T> ? T : never;
};

/** The list without its types, for code that walks over all of it. */
export const OPTION_LIST: readonly (readonly [OptionField, Option<unknown>])[] = (
  Object.keys(OPTIONS) as OptionField[]
).map((field) => [field, OPTIONS[field] as unknown as Option<unknown>] as const);

/** Name (flag, file key, alias) → field. */
export const FIELD_OF_NAME: ReadonlyMap<string, OptionField> = new Map(
  OPTION_LIST.flatMap(([field, option]) =>
    [option.name, ...(option.aliases ?? [])].map((name) => [name, field] as const),
  ),
);

/** What a shell job finds in its environment (SEMANTICS §5). A `belfry` started by a job has them too: they are not options. */
export const JOB_ENV_NAMES: ReadonlySet<string> = new Set(
  ['JOB', 'SCHEDULED_AT', 'GROUP', 'EXECUTION_ID', 'ATTEMPT', 'TRIGGER', 'NODE', 'SHARD', 'SHARDS', 'DATA_ID'].map(
    (name) => `BELFRY_${name}`,
  ),
);
