// Schedules: text → Schedule, (Schedule, instant, zone) → instants, words and warnings. Pure; no clock, no I/O.
export type * from './types.ts';
export { parseSchedule } from './parse.ts';
export { nextAfter, previousAtOrBefore, countBetween, instantsBetween, dueAt, COUNT_MAX } from './next.ts';
export { resolveZone, isKnownZone, suggestZone } from './zone.ts';
export { describe, type Describable } from './describe.ts';
export { warnings, neverFires } from './warnings.ts';
export { preview, type PreviewContext } from './preview.ts';
