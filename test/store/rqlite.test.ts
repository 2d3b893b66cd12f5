/** What only the rqlite implementation can meet: a server that dies, and the search for its binary. */
import { once } from 'node:events';
import { chmodSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { findRqlited, verifySha256 } from '../../src/store/rqlite/binary.ts';
import { openRqlite } from '../../src/store/rqlite/database.ts';
import { startRqlited } from '../kit/rqlited.ts';
import { commit, defer, s, temporaryDirectory, value } from './kit.ts';

describe('a rqlited that dies', () => {
  it('makes writes unknown and reads unavailable, never empty; what it acknowledged is there when it is back', async ({
    skip,
  }) => {
    const server = await startRqlited();
    if (server === undefined) return skip();
    defer(() => server.stop());
    const database = openRqlite({ url: server.url });
    defer(() => database.close());
    await commit(database, s('CREATE TABLE t (id INTEGER PRIMARY KEY)'));
    let acknowledged = 0;
    const writing = (async () => {
      for (;;) {
        const outcome = await database.write([s('INSERT INTO t DEFAULT VALUES')]);
        if (outcome.kind !== 'committed') return outcome.kind;
        acknowledged += 1;
        if (acknowledged === 50) void server.kill();
      }
    })();
    expect(await writing).toBe('unknown');
    await expect(database.read('local', 'SELECT 1')).rejects.toMatchObject({ code: 'unavailable' });
    expect(await database.write([s('INSERT INTO t DEFAULT VALUES')])).toMatchObject({ kind: 'unknown' });
    await server.restart();
    const stored = (await value(database, 'SELECT count(*) FROM t')) as number;
    expect(stored).toBeGreaterThanOrEqual(acknowledged);
    expect(stored).toBeLessThanOrEqual(acknowledged + 1);
  }, 60_000);

  it('answers for everything acknowledged right after a restart, when it has not yet read its own log', async ({
    skip,
  }) => {
    const server = await startRqlited();
    if (server === undefined) return skip();
    defer(() => server.stop());
    const database = openRqlite({ url: server.url });
    defer(() => database.close());
    await commit(database, s('CREATE TABLE t (id INTEGER PRIMARY KEY)'));
    for (const [level, rows] of [
      ['leader', 300],
      ['linearizable', 600],
    ] as const) {
      for (let n = 0; n < 300; n++) await commit(database, s('INSERT INTO t DEFAULT VALUES'));
      await server.kill();
      await server.restart();
      expect(await database.read(level, 'SELECT count(*) AS c FROM t')).toEqual([{ c: rows }]);
    }
  }, 60_000);

  it('does not hang a caller: a silent server is unknown or unavailable after the timeout', async ({ skip }) => {
    const server = await startRqlited();
    if (server === undefined) return skip();
    defer(() => server.stop());
    const database = openRqlite({ url: server.url, timeoutMs: 300 });
    defer(() => database.close());
    process.kill(server.pid, 'SIGSTOP');
    expect(await database.write([s('CREATE TABLE t (id INTEGER PRIMARY KEY)')])).toMatchObject({ kind: 'unknown' });
    await expect(database.read('leader', 'SELECT 1')).rejects.toMatchObject({ code: 'unavailable' });
    process.kill(server.pid, 'SIGCONT');
  }, 60_000);

  it('is asked at the level the caller needs, and answers that are no results are never taken for empty ones', async () => {
    const asked: string[] = [];
    let answer: [number, string] = [200, '{"results":[{"columns":["x"],"types":["integer"]}]}'];
    const server = createServer((request, response) => {
      asked.push(String(request.url));
      request.resume().on('end', () => response.writeHead(answer[0]).end(answer[1]));
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    defer(() => server.close());
    const database = openRqlite({ url: `http://127.0.0.1:${(server.address() as { port: number }).port}` });
    defer(() => database.close());
    for (const level of ['local', 'leader', 'leader', 'linearizable'] as const)
      expect(await database.read(level, 'SELECT 1')).toEqual([]);
    expect(asked.map((path) => /level=(\w+)/.exec(path)?.[1])).toEqual(['none', 'strong', 'weak', 'strong']);

    for (const failed of [
      [503, 'leader not found'],
      [500, 'leadership lost while committing log'],
      [200, '{"results":[],"error":"not leader"}'],
      [200, '{"resu'],
      [200, '{"results":[{"columns":["x"],"values":[[{"0":1}]]}]}'],
      [200, '{"results":[{"columns":["x"],"values":[[["byte"]]]}]}'],
      [200, '{"results":[{"columns":["x"],"values":[[1, 2]]}]}'],
    ]) {
      answer = failed as [number, string];
      expect(await database.write([s('DELETE FROM t')])).toMatchObject({ kind: 'unknown' });
      await expect(database.read('leader', 'SELECT 1')).rejects.toMatchObject({ code: 'unavailable' });
    }
    for (const [error, expected] of [
      ['database or disk is full', { kind: 'full' }],
      ['database is locked', { kind: 'unknown' }],
    ] as const) {
      answer = [200, JSON.stringify({ results: [{ error }] })];
      expect(await database.write([s('DELETE FROM t')])).toMatchObject(expected);
    }
    answer = [200, '{"results":[{"error":"database disk image is malformed"}]}'];
    await expect(database.write([s('DELETE FROM t')])).rejects.toMatchObject({ code: 'damaged' });
    await expect(database.read('leader', 'SELECT 1')).rejects.toMatchObject({ code: 'damaged' });
    answer = [200, '{"results":[]}'];
    expect(await database.write([s('DELETE FROM t')])).toMatchObject({ kind: 'unknown' });
  });

  it('is never sent a batch over the limit', async () => {
    const database = openRqlite({ url: 'http://127.0.0.1:9', requestBytesMax: 1000 });
    defer(() => database.close());
    await expect(database.write([s('SELECT ?', 'x'.repeat(1000))])).rejects.toMatchObject({ code: 'internal' });
  });
});

describe('the rqlited binary', () => {
  it('is the one named, or an error that says so', async () => {
    const path = join(temporaryDirectory(), 'rqlited');
    await expect(findRqlited(path)).rejects.toMatchObject({ code: 'invalid', field: 'rqlited' });
    writeFileSync(path, '#!/bin/sh\n');
    await expect(findRqlited(path)).rejects.toMatchObject({ code: 'invalid' });
    chmodSync(path, 0o755);
    expect(await findRqlited(path)).toEqual({ path, source: 'option' });
  });

  it('is refused when it is not the one this version was tested with', async () => {
    const path = join(temporaryDirectory(), 'rqlited');
    writeFileSync(path, 'something else');
    await expect(verifySha256(path, '0'.repeat(64))).rejects.toMatchObject({
      code: 'invalid',
      message: expect.stringContaining('SHA-256') as string,
    });
  });

  it('on PATH is used where no package is', async ({ skip }) => {
    const found = await findRqlited(undefined, '');
    if (found !== undefined) expect(found.source).toBe('package');
    else skip();
  });
});
