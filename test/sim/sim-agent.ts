/**
 * An agent on virtual time. Its marks (accepted, started, ended) are durable: they survive the death of the node process, as the real
 * spool and runner do. What a run does is scripted from the seed. Messages take time and keep their order; a dead connection drops them.
 */
import type { Random } from '../../src/lib/random.ts';
import type {
  AgentEvents,
  AgentSession,
  ExecutionEnded,
  ExecutionRefused,
  ExecutionStarted,
  KnownExecution,
  StartRequest,
  StopRequest,
} from '../../src/model/agent.ts';
import type { VirtualTime } from './virtual-time.ts';

/** How one execution goes. */
export interface Script {
  /** null: it never starts (no such program). */
  readonly durationMs: number | null;
  readonly outcome: 'succeeded' | 'failed';
  /** Time it takes to end once asked to. */
  readonly stopMs: number;
}

/** Told of what really happens, at the moment it happens. */
export interface Witness {
  /** The leader handed it over. */
  sent(request: StartRequest, epoch: number): void;
  started(request: StartRequest): void;
  ended(request: StartRequest, ended: ExecutionEnded): void;
}

interface Mark {
  readonly request: StartRequest;
  state: 'accepted' | 'started' | 'ended';
  started: ExecutionStarted | null;
  ended: ExecutionEnded | null;
  /** The truth behind a `lost`, to be found later. */
  truth: ExecutionEnded | null;
}

/** One leader's connection. `defer` holds back or drops what its process would see. */
export interface Connection {
  readonly epoch: number;
  readonly defer: (run: () => void) => void;
  readonly alive: () => boolean;
}

export interface SimAgentOptions {
  readonly node: string;
  readonly script: (request: StartRequest) => Script;
  readonly delayMsMax: number;
  /** Share of messages delivered twice. */
  readonly repeats: number;
  /** Share of lost runs whose truth turns up later. */
  readonly truths: number;
  /** Planted faults: share of runs started a second time, and of runs that never end. */
  readonly startsTwice?: number;
  readonly hangs?: number;
}

interface Stream {
  events: AgentEvents | null;
  readonly connection: Connection;
}

const REDELIVER_MS = 10_000;

export class SimAgent {
  readonly #options: SimAgentOptions;
  readonly #time: VirtualTime;
  readonly #random: Random;
  readonly #witness: Witness;
  readonly #marks = new Map<number, Mark>();
  #epoch = 0;
  #connection: Stream | null = null;
  #lastDelivery = 0;
  #lastReport = 0;
  /** Refuses new runs, as a node short of disk does. */
  refuses: ExecutionRefused['why'] | null = null;

  constructor(options: SimAgentOptions, modules: { time: VirtualTime; random: Random; witness: Witness }) {
    this.#options = options;
    this.#time = modules.time;
    this.#random = modules.random;
    this.#witness = modules.witness;
  }

  /** Runs accepted and not acknowledged. */
  get size(): number {
    return this.#marks.size;
  }

  /** Runs that are not at their end. */
  get busy(): number {
    let busy = 0;
    for (const mark of this.#marks.values()) if (mark.state !== 'ended' || mark.truth !== null) busy++;
    return busy;
  }

  /** A leader's end of this agent. The epoch is told at once; messages of older leaders still on their way are refused from now on. */
  connect(connection: Connection): AgentSession {
    this.#epoch = Math.max(this.#epoch, connection.epoch);
    const own: Stream = { events: null, connection };
    const send = (run: () => void) => {
      const at = Math.max(this.#lastDelivery, this.#time.monotonic() + this.#random.float() * this.#options.delayMsMax);
      this.#lastDelivery = at;
      this.#time.at(at - this.#time.monotonic(), () => connection.alive() && run());
    };
    return {
      node: this.#options.node,
      start: (epoch, runs) => {
        // What a deposed leader still sends is refused on arrival.
        if (epoch >= this.#epoch) for (const run of runs) this.#witness.sent(run, epoch);
        send(() => this.#accept(epoch, runs, own));
      },
      stop: (runs) => send(() => this.#stop(connection.epoch, runs)),
      acknowledge: (keys) => send(() => this.#forget(keys)),
      known: () => new Promise((resolve) => send(() => connection.defer(() => resolve(this.#known())))),
      subscribe: (events) => {
        own.events = events;
        this.#connection = own;
        this.#lastReport = this.#time.monotonic();
      },
    };
  }

  /** Power cut: every process dies; what was only accepted may or may not have begun. */
  powerCut(): void {
    for (const mark of this.#marks.values()) {
      if (mark.state === 'started') this.#end(mark, this.#ending(mark, 'lost', 'supervisor_gone'));
      else if (mark.state === 'accepted' && this.#random.float() < 0.5)
        this.#end(mark, this.#ending(mark, 'lost', 'start_unknown'));
    }
  }

  /** Tells an end once more, as after a lost acknowledgement. */
  redeliver(ended: ExecutionEnded): void {
    this.#report((events) => events.ended([ended]));
  }

  /** Its disk is replaced. */
  forgetAll(): void {
    this.#marks.clear();
  }

  #accept(epoch: number, runs: readonly StartRequest[], from: Stream): void {
    if (epoch < this.#epoch) return this.#refuse(runs, 'stale_epoch', from);
    if (this.refuses !== null) return this.#refuse(runs, this.refuses, from);
    for (const request of runs) {
      if (this.#marks.has(request.key)) continue;
      const mark: Mark = { request, state: 'accepted', started: null, ended: null, truth: null };
      this.#marks.set(request.key, mark);
      this.#time.at(this.#random.float() * this.#options.delayMsMax, () => this.#start(mark));
    }
  }

  #refuse(runs: readonly StartRequest[], why: ExecutionRefused['why'], from: Stream): void {
    // A repeated start of a run it has is answered like the first one.
    const refused = runs.filter(({ key }) => !this.#marks.has(key)).map(({ key }) => ({ key, why }));
    if (refused.length > 0) this.#report((events) => events.refused(refused), from);
  }

  #start(mark: Mark): void {
    if (mark.state !== 'accepted') return;
    const script = this.#options.script(mark.request);
    if (script.durationMs === null) return this.#end(mark, this.#ending(mark, 'failed', 'start'));
    mark.state = 'started';
    mark.started = { key: mark.request.key, startedAtUs: this.#time.wallUs(), pid: 4_000 };
    this.#witness.started(mark.request);
    if (this.#happens(this.#options.startsTwice)) this.#witness.started(mark.request);
    if (this.#happens(this.#options.hangs)) return;
    const { started } = mark;
    this.#report((events) => events.started([started]));
    const { timeoutMs } = mark.request;
    const timedOut = timeoutMs !== null && script.durationMs > timeoutMs;
    this.#time.at(timedOut ? timeoutMs : script.durationMs, () => {
      if (mark.state !== 'started') return;
      if (timedOut) return this.#end(mark, this.#ending(mark, 'failed', 'timeout'));
      this.#end(mark, this.#ending(mark, script.outcome, script.outcome === 'succeeded' ? '' : 'exit'));
    });
  }

  /** Draws only where a fault is planted, so that planting changes nothing else. */
  #happens(share: number | undefined): boolean {
    return share !== undefined && this.#random.float() < share;
  }

  #stop(epoch: number, runs: readonly StopRequest[]): void {
    if (epoch < this.#epoch) return;
    for (const { key, reason } of runs) {
      const mark = this.#marks.get(key);
      if (mark === undefined || mark.state === 'ended') continue;
      const { stopMs } = this.#options.script(mark.request);
      if (mark.state === 'accepted') this.#end(mark, this.#ending(mark, 'cancelled', reason));
      else
        this.#time.at(
          stopMs,
          () => mark.state === 'started' && this.#end(mark, this.#ending(mark, 'cancelled', reason)),
        );
    }
  }

  #ending(mark: Mark, outcome: ExecutionEnded['outcome'], reason: ExecutionEnded['reason']): ExecutionEnded {
    return {
      key: mark.request.key,
      startedAtUs: mark.started?.startedAtUs ?? null,
      finishedAtUs: this.#time.wallUs(),
      outcome,
      reason,
      exitCode: reason === 'exit' ? 3 : null,
      signal: null,
      message: outcome === 'succeeded' ? null : `ended: ${reason}`,
      tail: 'out',
      outputBytes: 3,
      logBytes: 3,
    };
  }

  #end(mark: Mark, ended: ExecutionEnded): void {
    mark.state = 'ended';
    mark.ended = ended;
    this.#witness.ended(mark.request, ended);
    if (ended.outcome === 'lost' && this.#random.float() < this.#options.truths) this.#findTruthLater(mark);
    this.#deliver(mark);
  }

  /** The end mark turns up after all, once the loss has been told. */
  #findTruthLater(mark: Mark): void {
    const { outcome } = this.#options.script(mark.request);
    const succeeded = outcome === 'succeeded';
    mark.truth = { ...this.#ending(mark, succeeded ? 'succeeded' : 'failed', succeeded ? '' : 'exit') };
    this.#time.at(1_000 + this.#random.float() * 60_000, () => this.#tellTruth(mark));
  }

  #tellTruth(mark: Mark): void {
    if (mark.truth === null) return;
    mark.ended = mark.truth;
    mark.truth = null;
    this.#marks.set(mark.request.key, mark);
    this.#witness.ended(mark.request, mark.ended);
    this.#deliver(mark);
  }

  #deliver(mark: Mark): void {
    const { ended } = mark;
    if (ended === null) return;
    this.#report((events) => events.ended([ended]));
    if (this.#random.float() < this.#options.repeats) this.#report((events) => events.ended([ended]));
    this.#time.at(REDELIVER_MS, () => {
      if (this.#marks.get(mark.request.key) === mark && mark.ended === ended) this.#deliver(mark);
    });
  }

  #forget(keys: readonly number[]): void {
    for (const key of keys) if (this.#marks.get(key)?.state === 'ended') this.#marks.delete(key);
  }

  #known(): KnownExecution[] {
    return [...this.#marks.values()].map((mark): KnownExecution => {
      const { key } = mark.request;
      if (mark.ended !== null) return { key, state: 'ended', ended: mark.ended };
      return mark.started === null ? { key, state: 'accepted' } : { key, state: 'started', started: mark.started };
    });
  }

  #report(tell: (events: AgentEvents) => void, to: Stream | null = this.#connection): void {
    const events = to?.events;
    if (to === null || events === null || events === undefined) return;
    const at = Math.max(this.#lastReport, this.#time.monotonic() + this.#random.float() * this.#options.delayMsMax);
    this.#lastReport = at;
    this.#time.at(at - this.#time.monotonic(), () => to.connection.defer(() => tell(events)));
  }
}
