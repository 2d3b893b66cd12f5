/** A backup of jobs as the order in which they can be stored. */
import { AppError } from '../model/errors.ts';
import type { JobInput } from '../model/job.ts';

/** Jobs in levels: those without a parent, their children, and so on. A parent outside the file or a cycle is refused. */
export function treeLevels(inputs: readonly JobInput[]): JobInput[][] {
  const byParent = Map.groupBy(inputs, (input) => input.parent_job);
  const levels: JobInput[][] = [];
  let level = byParent.get('') ?? [];
  let placed = 0;
  while (level.length > 0) {
    levels.push(level);
    placed += level.length;
    level = level.flatMap((input) => byParent.get(input.name) ?? []);
  }
  if (placed === inputs.length) return levels;
  const names = new Set(levels.flat().map((input) => input.name));
  const lost = inputs.find((input) => !names.has(input.name));
  throw new AppError(
    'invalid',
    `job ${lost?.name}: its parent ${JSON.stringify(lost?.parent_job)} is not in this file, or they form a cycle`,
    {
      field: 'parent_job',
      remedy: 'put the parent into the same file',
    },
  );
}
