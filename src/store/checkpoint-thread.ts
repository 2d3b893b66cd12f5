/** The thread that copies pages of the -wal home (checkpointer.ts). It says after each time that it has done what it could. */
import { DatabaseSync } from 'node:sqlite';
import { parentPort, workerData } from 'node:worker_threads';

export interface CheckpointThreadData {
  readonly path: string;
  readonly synchronous: 'full' | 'off';
}

const { path, synchronous } = workerData as CheckpointThreadData;
const database = new DatabaseSync(path);
// The sync of a copy obeys the connection that makes it.
database.exec(`PRAGMA synchronous = ${synchronous}; PRAGMA mmap_size = 0; PRAGMA wal_autocheckpoint = 0`);

parentPort?.on('message', () => {
  try {
    database.exec('PRAGMA wal_checkpoint(PASSIVE)');
  } catch {
    // A full or failing disk: nothing is lost, the pages stay in the -wal; the loop meets it in its own writes and says so.
  }
  parentPort?.postMessage('done');
});
