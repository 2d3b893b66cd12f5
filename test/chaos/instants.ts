/** When a simple schedule is due, by arithmetic of its own: the checker must not trust core/schedule. */
import type { SimpleSchedule } from './types.ts';

/** Due instants in (after, upTo], epoch ms. */
export function dueInstants(schedule: SimpleSchedule, after: number, upTo: number): number[] {
  const found: number[] = [];
  switch (schedule.kind) {
    case 'none':
      return found;
    case 'every': {
      const { startsAt, intervalMs } = schedule;
      const first = Math.max(0, Math.floor((after - startsAt) / intervalMs) + 1);
      for (let at = startsAt + first * intervalMs; at <= upTo; at += intervalMs) found.push(at);
      return found;
    }
    case 'seconds':
      // Every minute begins anew: a step of 7 is due at 0, 7, … 56.
      for (let second = Math.floor(after / 1000) + 1; second * 1000 <= upTo; second++) {
        if ((second % 60) % schedule.step === 0) found.push(second * 1000);
      }
      return found;
  }
}
