/** One node at a time: what an older connection still sends after a newer hello is not heard. */
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { encodeMessage, type NodeMessage } from '../../src/agent/protocol.ts';
import { Peer } from '../../src/agent/runner/peer.ts';
import { systemClock } from '../../src/lib/clock.ts';

const hello: NodeMessage = { t: 'hello', protocol: 1, epoch: 1, pid: 1, reaps: false };

let directory: string;
let peer: Peer;
let heard: string[];
let told: () => void;
const sockets: Socket[] = [];
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'belfry-peer-'));
  heard = [];
  told = () => undefined;
  const note = (what: string) => {
    heard.push(what);
    told();
  };
  peer = new Peer(directory, systemClock, {
    hello: (message) => note(`hello ${message.epoch}`),
    message: (message) => note(message.t),
    gone: () => note('gone'),
  });
  await peer.listen();
});
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
  peer.close();
  rmSync(directory, { recursive: true });
});

async function open(): Promise<Socket> {
  const socket = connect(join(directory, 'sock'));
  sockets.push(socket);
  await new Promise((resolve) => socket.once('connect', resolve));
  return socket;
}

function hearing(what: string): Promise<void> {
  return new Promise((resolve) => {
    told = () => {
      if (heard.includes(what)) resolve();
    };
    told();
  });
}

test('a newer hello ends the older connection, whatever it still says', async () => {
  const older = await open();
  older.write(encodeMessage(hello) + encodeMessage({ t: 'ping' }));
  await hearing('ping');
  const newer = await open();
  const closed = new Promise((resolve) => older.once('close', resolve));
  newer.write(encodeMessage({ ...hello, epoch: 2 }));
  await hearing('hello 2');
  older.write(encodeMessage({ t: 'retire' }));
  older.on('error', () => undefined);
  await closed;
  newer.write(encodeMessage({ t: 'ack', keys: [] }));
  await hearing('ack');
  expect(heard).toEqual(['hello 1', 'ping', 'hello 2', 'ack']);
  expect(peer.attached).toBe(true);
});

test('without a hello nothing is heard; nonsense ends the connection', async () => {
  const stranger = await open();
  stranger.write(encodeMessage({ t: 'retire' }));
  const closed = new Promise((resolve) => stranger.once('close', resolve));
  stranger.write('nonsense\n');
  await closed;
  expect(heard).toEqual([]);
});

test('a node that goes is noticed', async () => {
  const node = await open();
  node.write(encodeMessage(hello));
  await hearing('hello 1');
  node.destroy();
  await hearing('gone');
  expect(peer.attached).toBe(false);
});
