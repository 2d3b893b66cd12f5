/** What really happened, seen from the agent's side, held against what the store had committed at that moment. */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { ExecutionEnded, StartRequest } from '../../src/model/agent.ts';
import type { Concurrency, JobDefinition } from '../../src/model/job.ts';
import type { Witness } from './sim-agent.ts';

/** One execution as the agent lived it. */
export interface Lived {
  readonly request: StartRequest;
  started: boolean;
  readonly ends: ExecutionEnded[];
}

interface IntentRow {
  group_id: number;
  attempt: number;
  phase: number;
  forced: number;
  job_version: number;
  job_id: number;
}

const INTENT =
  'SELECT e.group_id, e.attempt, o.phase, o.forced, o.job_version, o.job_id FROM executions e JOIN occurrences o ON o.group_id = e.group_id WHERE e.key = ?';

interface Running {
  readonly key: number;
  readonly group: number;
  readonly concurrency: Concurrency;
  readonly forced: boolean;
  readonly jittered: boolean;
}

export class Truth implements Witness {
  readonly lived = new Map<number, Lived>();
  readonly #running = new Map<number, Map<number, Running>>();
  /** Ids of jobs whose deletion was acknowledged. */
  readonly deleted = new Set<number>();
  readonly #complain: (what: string) => void;
  readonly #intent: StatementSync;
  readonly #definition: StatementSync;
  starts = 0;

  constructor(database: DatabaseSync, complain: (what: string) => void) {
    this.#complain = complain;
    this.#intent = database.prepare(INTENT);
    this.#definition = database.prepare('SELECT definition FROM job_versions WHERE job_id = ? AND version = ?');
  }

  sent(request: StartRequest): void {
    if (this.deleted.has(request.jobId))
      this.#complain(`run ${request.key} of job ${request.job} was launched after its deletion was acknowledged`);
  }

  started(request: StartRequest): void {
    this.starts++;
    const lived = this.#livedOf(request);
    if (lived.started) this.#complain(`doubled: execution ${request.key} of job ${request.job} started twice`);
    lived.started = true;
    const intent = this.#intent.get(request.key) as unknown as IntentRow | undefined;
    if (intent === undefined)
      return this.#complain(`execution ${request.key} of job ${request.job} started without a committed intent`);
    if (intent.group_id !== request.group || intent.attempt !== request.attempt) {
      this.#complain(
        `execution ${request.key} was sent as group ${request.group} attempt ${request.attempt}, committed as ${intent.group_id} ${intent.attempt}`,
      );
    }
    this.#watchOverlap(request, intent);
  }

  ended(request: StartRequest, ended: ExecutionEnded): void {
    this.#livedOf(request).ends.push(ended);
    this.#running.get(request.jobId)?.delete(request.key);
  }

  forget(key: number): void {
    this.lived.delete(key);
  }

  #livedOf(request: StartRequest): Lived {
    let lived = this.lived.get(request.key);
    if (lived === undefined) this.lived.set(request.key, (lived = { request, started: false, ends: [] }));
    return lived;
  }

  /** Two of a job side by side are wrong when the newer one's mode forbids it, unless it was forced. */
  #watchOverlap(request: StartRequest, intent: IntentRow): void {
    const row = this.#definition.get(intent.job_id, intent.job_version) as { definition: string } | undefined;
    if (row === undefined)
      return this.#complain(
        `execution ${request.key} belongs to version ${intent.job_version} of job ${intent.job_id}, which is gone`,
      );
    const { concurrency, jitter } = JSON.parse(row.definition) as JobDefinition;
    const own: Running = {
      key: request.key,
      group: request.group,
      concurrency,
      forced: intent.forced === 1,
      jittered: jitter !== null,
    };
    let running = this.#running.get(request.jobId);
    if (running === undefined) this.#running.set(request.jobId, (running = new Map()));
    for (const other of running.values()) {
      if (own.concurrency === 'allow' || own.forced) break;
      const older = other.concurrency !== 'allow' || (other.group < own.group && !other.jittered);
      // A forced run may begin at any time; it only stands in the way of later ones.
      const inTheWay = other.forced
        ? other.group < own.group && own.group === own.key && !own.jittered && own.concurrency === 'forbid'
        : older;
      if (inTheWay) {
        this.#complain(
          `overlap: ${own.concurrency} job ${request.job} started ${own.key} while ${other.key} of it ran`,
        );
      }
    }
    running.set(own.key, own);
  }
}
