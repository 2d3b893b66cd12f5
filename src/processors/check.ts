/** What of a job's processors will not do as written, one sentence each. */
import { quoted, unknownOf } from '../core/executor-keys.ts';
import { readForward } from './forward.ts';
import type { JobProcessors } from './processing.ts';

const KEYS: ReadonlyMap<string, readonly string[]> = new Map([
  ['log', ['forward']],
  ['files', ['forward', 'log_dir']],
]);

export function checkProcessors(processors: JobProcessors): string[] {
  return Object.entries(processors).flatMap(([name, config]) => {
    const keys = KEYS.get(name);
    if (keys === undefined)
      return [`processors: ${unknownProcessor(name)}; this version has ${[...KEYS.keys()].join(' and ')}`];
    const { problem } = readForward(config);
    const found = [...unknownOf(config, keys), ...(problem === undefined ? [] : [problem])];
    return found.map((text) => `processors.${name}: ${text}`);
  });
}

export function unknownProcessor(name: string): string {
  return `processor ${quoted(name)} is not in this version, so it gets no output`;
}
