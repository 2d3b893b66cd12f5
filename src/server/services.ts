/** The leader's commands and questions in the shape the HTTP layer is handed. */
import type { Clock } from '../lib/clock.ts';
import { instantText, instantTextUs } from '../model/time.ts';
import type { Leader } from './leader.ts';
import type { ExecutionShown } from './run-views.ts';
import type { LogSlice, Runs } from './runs.ts';

/** Everything of http/services.ts that the leader answers; app.ts adds the node and the preview. */
export function leaderServices(leader: Leader, modules: { clock: Clock }) {
  return { jobs: jobsService(leader, modules.clock), calendars: leader.calendars, runs: runsService(leader) };
}

function jobsService({ jobs, scheduler, definitions }: Leader, clock: Clock) {
  return {
    put: jobs.put.bind(jobs),
    get: jobs.get.bind(jobs),
    list: jobs.list.bind(jobs),
    delete: jobs.delete.bind(jobs),
    toggle: jobs.toggle.bind(jobs),
    run: jobs.run.bind(jobs),
    resetCursor: jobs.resetCursor.bind(jobs),
    restore: jobs.restore.bind(jobs),
    upcoming: async (limit: number) => {
      const soon = scheduler.upcoming(limit);
      const found = await definitions.load(soon.map((entry) => entry.jobId));
      return soon.flatMap(({ jobId, nextAt }) => {
        const job = found.get(jobId);
        return job === undefined ? [] : [{ job: job.name, at: instantText(Math.max(nextAt, Math.floor(clock.now()))) }];
      });
    },
  };
}

function runsService({ runs }: Leader) {
  return {
    executions: async (job: string, order: Parameters<Runs['executions']>[1]) =>
      (await runs.executions(job, order)).map(withoutOrder),
    execution: async (job: string, id: string) => withoutOrder(await runs.execution(job, id)),
    deleteExecutions: runs.deleteExecutions.bind(runs),
    busy: async () => (await runs.busy()).map(withoutOrder),
    stats: runs.stats.bind(runs),
    runs: runs.runs.bind(runs),
    run: runs.run.bind(runs),
    stop: runs.stop.bind(runs),
    log: async (group: number, wanted: string | null, from: number, limit: number) => {
      const { execution, slice } = await runs.log(group, wanted, from, limit);
      return {
        execution,
        from: slice.from,
        total_bytes: slice.totalBytes,
        first_kept_byte: slice.firstKeptByte,
        bytes: slice.bytes,
        chunks: slice.chunks.map(chunkShown),
      };
    },
  };
}

function chunkShown(chunk: LogSlice['chunks'][number]) {
  const { stream, from, length } = chunk;
  return { stream, observed_at: instantTextUs(chunk.observedAtUs), from, length, observed_late: chunk.observedLate };
}

function withoutOrder({ order: _order, ...shown }: ExecutionShown): Omit<ExecutionShown, 'order'> {
  return shown;
}
