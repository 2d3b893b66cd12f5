/** Prometheus metrics, counted from events: Dkron's names and ours. Hot counters are plain numbers, turned into series when scraped. */
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { BelfryEvent } from '../model/events.ts';

/** What is asked at each scrape. */
export interface MetricsSources {
  counts(): { waiting: number; running: number; unfinished: number; results: number };
  jobs(): number;
  scheduled(): number;
  diskOk(): boolean;
}

const LATENESS_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600];
const COMMIT_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1];

export class Metrics {
  readonly #registry = new Registry();
  readonly #perJob = new Map<string, { succeeded: number; failed: number }>();
  readonly #outcomes = new Map<string, number>();
  readonly #lateness: Histogram;
  readonly #commit: Histogram;
  readonly #steps: Counter;

  constructor() {
    const registers = [this.#registry];
    this.#lateness = new Histogram({
      name: 'belfry_launch_lateness_seconds',
      help: 'Start of an execution after its due instant',
      buckets: LATENESS_SECONDS,
      registers,
    });
    this.#commit = new Histogram({
      name: 'belfry_commit_seconds',
      help: 'Time of one durable commit of intents or results',
      buckets: COMMIT_SECONDS,
      registers,
    });
    this.#steps = new Counter({
      name: 'belfry_clock_steps_total',
      help: 'Wall clock steps of more than 500 ms',
      registers,
    });
    this.#outcomeSeries(registers);
    this.#dkronSeries(registers);
    gauge(
      'process_resident_memory_bytes',
      'Resident memory of the node process',
      () => process.memoryUsage.rss(),
      registers,
    );
    cpuSeries(registers);
  }

  /** What is asked at each scrape, once there is somebody to ask. */
  observe(sources: MetricsSources): void {
    const registers = [this.#registry];
    gauge('belfry_runs_waiting', 'Runs waiting for a place', () => sources.counts().waiting, registers);
    gauge('belfry_runs_running', 'Runs at the agent', () => sources.counts().running, registers);
    gauge(
      'belfry_occurrences_unfinished',
      'Occurrences without an outcome',
      () => sources.counts().unfinished,
      registers,
    );
    gauge('belfry_results_waiting', 'Results not yet committed', () => sources.counts().results, registers);
    gauge('belfry_jobs', 'Jobs', () => sources.jobs(), registers);
    gauge('belfry_jobs_scheduled', 'Jobs that have a next instant', () => sources.scheduled(), registers);
    gauge('belfry_disk_ok', '1 while the disk has room to launch', () => Number(sources.diskOk()), registers);
  }

  /** Counts one event. */
  count(event: BelfryEvent): void {
    switch (event.kind) {
      case 'execution_started':
        this.#lateness.observe(Math.max(0, event.latenessMs) / 1000);
        return;
      case 'execution_ended':
        this.#ended(event.job, event.outcome === 'succeeded');
        this.#outcome(event.outcome, event.reason, 1);
        return;
      case 'occurrence_dropped':
        this.#outcome(event.outcome, event.reason, event.count);
        return;
      case 'occurrence_committed':
      case 'results_committed':
        this.#commit.observe(event.commitMs / 1000);
        return;
      case 'clock_stepped':
        this.#steps.inc();
        return;
      case 'job_changed':
        if (event.change === 'deleted') this.#perJob.delete(event.job);
        return;
      default:
        return;
    }
  }

  async text(): Promise<{ contentType: string; body: string }> {
    return { contentType: this.#registry.contentType, body: await this.#registry.metrics() };
  }

  #ended(job: string, success: boolean): void {
    let counts = this.#perJob.get(job);
    if (counts === undefined) this.#perJob.set(job, (counts = { succeeded: 0, failed: 0 }));
    if (success) counts.succeeded++;
    else counts.failed++;
  }

  #outcome(outcome: string, reason: string, by: number): void {
    const key = `${outcome} ${reason}`;
    this.#outcomes.set(key, (this.#outcomes.get(key) ?? 0) + by);
  }

  #outcomeSeries(registers: Registry[]): void {
    const outcomes = this.#outcomes;
    new Counter({
      name: 'belfry_outcomes_total',
      help: 'Ends of executions, and dropped occurrences, by outcome and reason',
      labelNames: ['outcome', 'reason'],
      registers,
      collect() {
        this.reset();
        for (const [key, value] of outcomes) {
          const [outcome = '', reason = ''] = key.split(' ');
          this.inc({ outcome, reason }, value);
        }
      },
    });
  }

  #dkronSeries(registers: Registry[]): void {
    const perJob = this.#perJob;
    for (const which of ['succeeded', 'failed'] as const) {
      new Counter({
        name: `dkron_job_executions_${which}_total`,
        help: `Executions of the job that ${which}`,
        labelNames: ['job_name'],
        registers,
        collect() {
          this.reset();
          for (const [job_name, counts] of perJob) if (counts[which] > 0) this.inc({ job_name }, counts[which]);
        },
      });
    }
  }
}

function gauge(name: string, help: string, value: () => number, registers: Registry[]): void {
  new Gauge({
    name,
    help,
    registers,
    collect() {
      this.set(value());
    },
  });
}

function cpuSeries(registers: Registry[]): void {
  new Counter({
    name: 'process_cpu_seconds_total',
    help: 'CPU time of the node process',
    registers,
    collect() {
      const { user, system } = process.cpuUsage();
      this.reset();
      this.inc((user + system) / 1e6);
    },
  });
}
