/**
 * A real node as a process of its own, on loopback, with a data directory that goes with it. Tests talk to it over HTTP only.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { eventually } from './eventually.ts';
import { type Answer, type Ask, ask } from './http-client.ts';

const ROOT = resolve(import.meta.dirname, '..', '..');
const START_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 20_000;

export interface NodeOptions {
  /** Further arguments of `belfry agent`. */
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** What the node is started by, for example ['prlimit', '--nofile=64']; it must become the node, or end with it. */
  readonly under?: readonly string[];
  /** Kept when given; else a fresh one that stop() removes. */
  readonly dataDir?: string;
}

/** Starts a node and waits until it says that it is up. Throws with its output when it does not. */
export async function startNode(options: NodeOptions = {}): Promise<TestNode> {
  const ownDir = options.dataDir === undefined;
  const dataDir = options.dataDir ?? mkdtempSync(join(tmpdir(), 'belfry-node-'));
  const args = [...startFlags(), join(ROOT, 'src/main.ts'), 'agent'];
  args.push('--http-addr', '127.0.0.1:0', '--data-dir', dataDir, '--node-name', 'test-node', ...(options.args ?? []));
  const env = { PATH: process.env['PATH'] ?? '', HOME: dataDir, TZ: 'UTC', ...options.env };
  const [program = process.execPath, ...words] = [...(options.under ?? []), process.execPath, ...args];
  const child = spawn(program, words, { cwd: dataDir, env, stdio: ['ignore', 'pipe', 'pipe'] });
  const node = new TestNode(child, dataDir, ownDir);
  try {
    await node.ready();
  } catch (error) {
    await node.stop('SIGKILL');
    throw error;
  }
  return node;
}

/** What `npm start` gives the engine, so that the suites run what users run. */
function startFlags(): string[] {
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: { start: string } };
  return scripts.start.split(' ').filter((word) => word.startsWith('--'));
}

export class TestNode {
  readonly dataDir: string;
  readonly #child: ChildProcess;
  readonly #ownDir: boolean;
  readonly #exited: Promise<number | null>;
  #output = '';
  #url = '';

  constructor(child: ChildProcess, dataDir: string, ownDir: boolean) {
    this.#child = child;
    this.dataDir = dataDir;
    this.#ownDir = ownDir;
    const collect = (chunk: Buffer) => {
      this.#output += chunk.toString('utf8');
    };
    child.stdout?.on('data', collect);
    child.stderr?.on('data', collect);
    this.#exited = new Promise((done) => {
      child.once('exit', (code) => done(code));
      // It could not even be started (its directory or program is missing): no exit follows.
      child.once('error', (error) => {
        this.#output += String(error);
        done(null);
      });
    });
  }

  /** Where it listens, "http://127.0.0.1:40123". */
  get url(): string {
    return this.#url;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** stdout and stderr so far. */
  get output(): string {
    return this.#output;
  }

  /** Resolves with the exit code (null: by a signal). */
  get exited(): Promise<number | null> {
    return this.#exited;
  }

  get running(): boolean {
    return this.#child.pid !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  async ready(): Promise<void> {
    const found = await eventually(
      'the node to be up',
      async () => {
        const match = /Belfry is up: (https?:\/\/\S+)/.exec(this.#output)?.[1];
        return match ?? (this.running ? undefined : 'ended');
      },
      START_TIMEOUT_MS,
    ).catch((error: unknown) => {
      throw new Error(`the node did not start:\n${this.#output}`, { cause: error });
    });
    if (found === 'ended') throw new Error(`the node ended at once:\n${this.#output}`);
    this.#url = found;
  }

  ask(method: string, path: string, options?: Ask): Promise<Answer> {
    return ask(this.#url, method, path, options);
  }

  get(path: string, headers: Record<string, string> = {}): Promise<Answer> {
    return this.ask('GET', path, { headers });
  }

  post(path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> {
    return this.ask('POST', path, { body, headers });
  }

  /** Ends the node, then whatever of its tree outlives it (runners do by design), and removes its directory. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    if (this.running) this.#child.kill(signal);
    const deadline = setTimeout(() => this.#child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    const code = await this.#exited;
    clearTimeout(deadline);
    await this.#endTree();
    if (this.#ownDir) rmSync(this.dataDir, { recursive: true, force: true, maxRetries: 5 });
    return code;
  }

  /** Kills the node alone, as a crash would, and leaves its runner and directory. */
  async crash(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #endTree(): Promise<void> {
    await eventually('the tree of the node to end', async () => {
      const left = processesNaming(this.dataDir);
      for (const pid of left) killQuietly(pid);
      return left.length === 0 ? true : undefined;
    });
  }
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error; // it ended by itself meanwhile
  }
}

/** Processes whose command line names this node's own directory: no other process can be meant. */
export function processesNaming(directory: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .map(Number)
    .filter((pid) => commandLine(pid).includes(directory));
}

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return ''; // ended while we looked
  }
}
