// What is read back from disk and from the runner: logs with their index, the runner's journal, its messages. Damage costs data, never the node.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { openLog, readTail } from '../../../src/agent/logs.ts';
import { logBase } from '../../../src/agent/paths.ts';
import { encodeMessage, LineDecoder, type RunnerMessage } from '../../../src/agent/protocol.ts';
import { encodeRecord, readSpool, spoolPath, type SpoolRecord } from '../../../src/agent/spool.ts';
import type { StartRequest } from '../../../src/model/agent.ts';
import type { Dice } from '../dice.ts';
import { must, type Target, withInput } from '../target.ts';

const directory = mkdtempSync(join(tmpdir(), 'belfry-fuzz-disk-'));
const KEY = 1_795_374_254_380_000;
const INDEX =
  'o 0 100 1795374254380000 0\ne 0 50 1795374254480000 0\no 100 100 1795374254580000 1\nk 60 60 0\ne 50 14 1795374254680000 0\n';

const logs: Target = {
  name: 'log and index',
  weight: 5,
  limitMs: 400,
  run(dice) {
    const base = logBase(directory, KEY);
    mkdirSync(dirname(base), { recursive: true });
    const index = dice.mangleBytes(Buffer.from(INDEX));
    const [out, err] = [dice.bytes(300), dice.bytes(100)];
    for (const [ending, bytes] of [
      ['.idx', index],
      ['.out', out],
      ['.err', err],
    ] as const) {
      if (dice.chance(0.9)) writeFileSync(base + ending, bytes);
      else rmSync(base + ending, { force: true });
    }
    const [from, limit] = [dice.pick([0, 1, -1, 50, 1e9, dice.int(400)]), dice.pick([0, 1, 100, 4096])];
    withInput([index.toString('latin1'), out.length, err.length, from, limit], () => {
      const log = openLog(directory, KEY);
      if (log === null) return;
      must(Number.isSafeInteger(log.totalBytes) && log.totalBytes >= 0, 'a total', log.totalBytes);
      must(
        log.firstKeptByte >= 0 && log.firstKeptByte <= log.totalBytes,
        'the first kept byte is inside',
        log.firstKeptByte,
        log.totalBytes,
      );
      const read = log.read(from, limit);
      must(
        read.bytes.length <= limit && read.from >= 0 && read.from + read.bytes.length <= log.totalBytes,
        'a slice inside the log',
        read.from,
        read.bytes.length,
      );
      must(readTail(log, 256).length <= 256, 'a tail');
    });
  },
};

function record(dice: Dice, key: number): SpoolRecord {
  switch (dice.int(6)) {
    case 0:
      return { r: 'epoch', epoch: dice.int(100) };
    case 1:
      return {
        r: 'start',
        bootId: 'b',
        runs: [{ key, pid: 1234, startTicks: 5, startedAtUs: KEY, cgroup: null }],
      };
    case 2:
      return { r: 'stop', key, reason: 'user', message: 'é😀' };
    case 3:
      return { r: 'exit', key, status: 256 };
    case 4:
      return { r: 'ack', keys: [key] };
    default:
      return { r: 'accept', runs: [{ key, job: 'j', config: { command: dice.noise(30) } } as unknown as StartRequest] };
  }
}

const journals: Target = {
  name: 'runner journal',
  weight: 4,
  limitMs: 400,
  run(dice) {
    const records = Array.from({ length: dice.size(20) }, (_, index) => record(dice, KEY + dice.int(index + 1)));
    const accepted = new Set(records.flatMap((one) => (one.r === 'accept' ? one.runs.map(({ key }) => key) : [])));
    const lines: SpoolRecord[] = [{ r: 'open', version: 1, runner: 'x' }, ...records];
    const bytes = dice.mangleBytes(Buffer.from(lines.map(encodeRecord).join('')));
    const padded = dice.chance(0.5) ? Buffer.concat([bytes, Buffer.alloc(512)]) : bytes;
    writeFileSync(spoolPath(directory), padded);
    withInput(padded, () => {
      const state = readSpool(directory);
      for (const key of state.entries.keys()) must(accepted.has(key), 'only what was accepted', key);
    });
  },
};

const messages: Target = {
  name: 'runner messages',
  weight: 4,
  limitMs: 250,
  run(dice) {
    const sent: RunnerMessage[] = Array.from({ length: dice.size(8) }, () => ({
      t: 'problem',
      message: dice.noise(50),
    }));
    const good = Buffer.from(sent.map(encodeMessage).join(''));
    const bytes = dice.chance(0.5) ? good : dice.mangleBytes(good);
    withInput(bytes, () => {
      const decoder = new LineDecoder<RunnerMessage>();
      const got: RunnerMessage[] = [];
      try {
        for (let from = 0; from < bytes.length;) {
          const end = Math.min(bytes.length, from + 1 + dice.size(40));
          got.push(...decoder.push(bytes.subarray(from, end)));
          from = end;
        }
      } catch (error) {
        // A broken peer: the link drops the connection.
        must(error instanceof SyntaxError && !bytes.equals(good), 'only broken lines are refused', String(error));
        return;
      }
      if (bytes.equals(good)) must(JSON.stringify(got) === JSON.stringify(sent), 'what was sent arrives', got);
    });
  },
  close: () => rmSync(directory, { recursive: true, force: true }),
};

export const diskTargets = [logs, journals, messages];
