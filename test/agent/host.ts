/**
 * A process that holds an Agent as the node does, driven by JSON lines on stdin: {start: [...]}, {stop: [...]}, {ack: [...]}, {close: true},
 * {drain: ms}, {warm: [...]}, {state: true}; it answers with JSON lines {known}, {started}, {ended}, {refused}, {state}.
 * argv[2] is AgentOptions as JSON, with `reap: false` for a node that is no subreaper, `ack: true` to acknowledge every end at once, and
 * `hurry: n` to let its waits of a second and longer pass n times as fast.
 */
import { createInterface } from 'node:readline';
import { type AgentOptions, createAgent } from '../../src/agent/agent.ts';
import { becomeSubreaper } from '../../src/agent/subreaper.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { systemRandom } from '../../src/lib/random.ts';
import type { StartRequest, StopRequest } from '../../src/model/agent.ts';

interface Command {
  epoch?: number;
  start?: StartRequest[];
  stop?: StopRequest[];
  ack?: number[];
  warm?: string[];
  drain?: number;
  close?: boolean;
  state?: boolean;
}

const options = JSON.parse(process.argv[2] ?? '{}') as AgentOptions & { reap?: boolean; ack?: boolean; hurry?: number };
const say = (message: object) => process.stdout.write(`${JSON.stringify(message)}\n`);
const note = (level: string) => (fields: object, message: string) => say({ log: { level, message, ...fields } });
const hurried = (ms: number) => (ms < 1000 ? ms : ms / (options.hurry ?? 1));
const agent = createAgent(options, {
  clock: { ...systemClock, setTimer: (ms, run) => systemClock.setTimer(hurried(ms), run) },
  random: systemRandom,
  log: { info: note('info'), warn: note('warn'), error: note('error') },
  reaper: options.reap === false ? null : becomeSubreaper(),
});
agent.subscribe({
  started: (started) => say({ started }),
  ended: (ended) => {
    say({ ended });
    if (options.ack === true) agent.acknowledge(ended.map((run) => run.key));
  },
  refused: (refused) => say({ refused }),
});
say({ known: await agent.known(), pids: agent.processIds(), runners: agent.state().runners });

const lines = createInterface({ input: process.stdin });
lines.on('line', (line) => void obey(JSON.parse(line) as Command));
lines.on('close', () => agent.close());

async function obey(command: Command): Promise<void> {
  if (command.start !== undefined) agent.start(command.epoch ?? 1, command.start);
  if (command.stop !== undefined) agent.stop(command.stop);
  if (command.ack !== undefined) agent.acknowledge(command.ack);
  if (command.warm !== undefined) agent.warm(command.warm);
  if (command.state === true) say({ state: agent.state(), running: agent.running(), pids: agent.processIds() });
  if (command.drain !== undefined) await agent.drain(command.drain);
  if (command.drain !== undefined) say({ drained: true });
  if (command.close === true || command.drain !== undefined) {
    agent.close();
    lines.close();
    process.stdin.destroy();
  }
}
