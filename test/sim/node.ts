/**
 * One life of a node: the real leader on ports that a simulation can cut at any moment. After `crash` none of its continuations does
 * anything any more; what the store had committed by then is what the next life finds.
 */
import type { Random } from '../../src/lib/random.ts';
import { Scope } from '../../src/lib/scope.ts';
import type { Clock } from '../../src/lib/clock.ts';
import { AppError } from '../../src/model/errors.ts';
import type { BelfryEvent } from '../../src/model/events.ts';
import { type Leader, type LeaderOptions, startLeader } from '../../src/server/leader.ts';
import type { Consistency, Database, Row, SqlValue, Statement, WriteOutcome } from '../../src/store/database.ts';
import { claimLeadership } from '../../src/store/leadership.ts';
import type { SimAgent } from './sim-agent.ts';
import { clockOf, type VirtualTime } from './virtual-time.ts';

/** What may go wrong at a port. Asked each time; the answer is what happens. */
export interface Faults {
  /** Dies here. `point` names the port and the side of it. */
  crash(point: string): boolean;
  write(statements: readonly Statement[]): 'none' | 'unknown_applied' | 'unknown_dropped' | 'full';
  /** The read fails. */
  read(): boolean;
  mayLaunch(): boolean;
}

export const NO_FAULTS: Faults = { crash: () => false, write: () => 'none', read: () => false, mayLaunch: () => true };

export interface NodeModules {
  readonly database: Database;
  readonly agent: SimAgent;
  readonly time: VirtualTime;
  readonly random: Random;
  readonly faults: Faults;
  readonly emit?: (event: BelfryEvent) => void;
  /** The leader gave up: lost fence, broken invariant, store failure. */
  readonly failed: (error: unknown, node: SimNode) => void;
  /** The moment before a batch reaches the store. */
  readonly beforeWrite?: (statements: readonly Statement[]) => void;
}

const never = () => new Promise<never>(() => undefined);

export class SimNode {
  readonly #m: NodeModules;
  readonly #options: Omit<LeaderOptions, 'epoch'>;
  readonly clock: Clock;
  readonly scope: Scope;
  #dead = false;
  #stopped = false;
  #closing = false;
  #held: (() => void)[] = [];
  leader: Leader | undefined;
  epoch = 0;

  constructor(options: Omit<LeaderOptions, 'epoch'>, modules: NodeModules) {
    this.#options = options;
    this.#m = modules;
    this.clock = clockOf(modules.time, { defer: (run) => this.#defer(run) });
    this.scope = new Scope(this.#clock());
    this.scope.onFailure((error) => this.#fail(error));
  }

  get dead(): boolean {
    return this.#dead;
  }

  /** A clean end is under way. */
  get closing(): boolean {
    return this.#closing;
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  /** Claims the next epoch and takes over. Resolves with the leader; never when it dies on the way. */
  async start(): Promise<Leader> {
    const { agent, random, faults } = this.#m;
    const database = this.#database();
    this.epoch = await claimLeadership(database, this.#options.node);
    const connection = { epoch: this.epoch, defer: (run: () => void) => this.#defer(run), alive: () => !this.#dead };
    const session = agent.connect(connection);
    this.leader = await startLeader(
      { ...this.#options, epoch: this.epoch },
      {
        database,
        agent: {
          ...session,
          start: (epoch, runs) => this.#around('agent.start', () => session.start(epoch, runs)),
          stop: (runs) => this.#around('agent.stop', () => session.stop(runs)),
          acknowledge: (keys) => this.#around('agent.acknowledge', () => session.acknowledge(keys)),
          known: async () => {
            await this.#passage('agent.known before');
            const known = await session.known();
            await this.#passage('agent.known after');
            return known;
          },
        },
        clock: this.#clock(),
        random,
        emit: (event) => !this.#dead && this.#m.emit?.(event),
        scope: this.scope,
        process: async (_run, ended) => {
          await this.#passage('process before');
          await this.clock.sleep(random.float() * 20);
          await this.#passage('process after');
          return ended.tail;
        },
        readLog: () => Promise.resolve(null),
        logSizes: () => ({ written: 0, kept: 0 }),
        removeLog: () => this.#passage('removeLog'),
        mayLaunch: () => faults.mayLaunch(),
        fail: (error) => this.#fail(error),
      },
    );
    return this.leader;
  }

  /** kill -9: nothing of this life happens any more. */
  crash(): void {
    if (this.#dead) return;
    this.#dead = true;
    this.#held = [];
    void this.scope.close(0);
  }

  /** SIGSTOP. */
  stop(): void {
    this.#stopped = true;
  }

  /** SIGCONT: everything that came due meanwhile happens now. */
  resume(): void {
    this.#stopped = false;
    const held = this.#held;
    this.#held = [];
    for (const run of held) run();
  }

  /** A clean end, as on SIGTERM. */
  async close(): Promise<void> {
    this.#closing = true;
    await this.leader?.close();
    const closed = this.scope.close();
    await closed;
    this.#dead = true;
  }

  #fail(error: unknown): void {
    if (this.#dead) return;
    this.crash();
    this.#m.failed(error, this);
  }

  #defer(run: () => void): void {
    if (this.#dead) return;
    if (this.#stopped) this.#held.push(run);
    else run();
  }

  /** A place where the process may die or stand still. Never comes back when it is dead. */
  async #passage(point: string): Promise<void> {
    if (this.#dead) return never();
    if (this.#m.faults.crash(point)) {
      this.crash();
      return never();
    }
    while (this.#stopped) await new Promise<void>((resolve) => this.#held.push(resolve));
    if (this.#dead) return never();
  }

  /** A synchronous call of the leader: it may die before or after it. */
  #around(name: string, call: () => void): void {
    if (this.#dead) return;
    if (this.#m.faults.crash(`${name} before`)) return this.crash();
    call();
    if (this.#m.faults.crash(`${name} after`)) this.crash();
  }

  #clock(): Clock {
    const { clock } = this;
    const { faults } = this.#m;
    return {
      ...clock,
      setTimer: (ms, run) => clock.setTimer(ms, () => (faults.crash('timer') ? this.crash() : run())),
      sleep: async (ms, signal) => {
        await clock.sleep(ms, signal);
        await this.#passage('sleep');
      },
      yield: async () => {
        await clock.yield();
        await this.#passage('yield');
      },
    };
  }

  #database(): Database {
    const { database } = this.#m;
    return {
      read: (consistency, sql, params) => this.#read(consistency, sql, params),
      write: (statements) => this.#write(statements),
      close: () => database.close(),
    };
  }

  async #read(consistency: Consistency, sql: string, params: readonly SqlValue[] = []): Promise<Row[]> {
    await this.#passage('read before');
    if (this.#m.faults.read()) throw new AppError('unavailable', 'the store does not answer (simulated)');
    const rows = await this.#m.database.read(consistency, sql, params);
    await this.#passage('read after');
    return rows;
  }

  async #write(statements: readonly Statement[]): Promise<WriteOutcome> {
    await this.#passage('write before');
    const fault = this.#m.faults.write(statements);
    if (fault === 'full') return { kind: 'full' };
    if (fault === 'unknown_dropped') return { kind: 'unknown', cause: new Error('simulated') };
    this.#m.beforeWrite?.(statements);
    const outcome = await this.#m.database.write(statements);
    await this.#passage('write after');
    return fault === 'unknown_applied' ? { kind: 'unknown', cause: new Error('simulated') } : outcome;
  }
}
