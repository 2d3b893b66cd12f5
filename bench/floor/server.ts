/**
 * The least that an API server can be: GET is answered with one constant, POST with 201 once its body is parsed and a row on disk, all rows
 * of one turn of the loop in one commit. `node server.ts DATABASE`; tells its port by IPC.
 */
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { DatabaseSync } from 'node:sqlite';

const ANSWER = JSON.stringify({ name: 'constant' });

const database = new DatabaseSync(process.argv[2] as string);
database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000');
database.exec('CREATE TABLE jobs (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, definition TEXT NOT NULL)');
const insert = database.prepare('INSERT INTO jobs (name, definition) VALUES (?, ?)');

let waiting: { readonly body: string; readonly response: http.ServerResponse }[] = [];

function commit(): void {
  const batch = waiting;
  waiting = [];
  database.exec('BEGIN IMMEDIATE');
  for (const { body } of batch) {
    const { name } = JSON.parse(body) as { name: string };
    insert.run(name, body);
  }
  database.exec('COMMIT');
  for (const { response } of batch) response.writeHead(201, { 'content-type': 'application/json' }).end(ANSWER);
}

function store(request: http.IncomingMessage, response: http.ServerResponse): void {
  const pieces: Buffer[] = [];
  request.on('data', (piece: Buffer) => pieces.push(piece));
  request.on('end', () => {
    waiting.push({ body: Buffer.concat(pieces).toString('utf8'), response });
    if (waiting.length === 1) setImmediate(commit);
  });
}

const server = http.createServer((request, response) => {
  if (request.method === 'POST') store(request, response);
  else response.writeHead(200, { 'content-type': 'application/json' }).end(ANSWER);
});
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
process.on('disconnect', () => process.exit());
