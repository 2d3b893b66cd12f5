/** A process that opens a data directory and holds it until killed; `write`: it also commits one execution after the other and says so. */
import { systemClock } from '../../src/lib/clock.ts';
import { openDataDirectory } from '../../src/store/data-directory.ts';
import { migrate } from '../../src/store/migrations.ts';
import { openSqlite } from '../../src/store/sqlite.ts';

const [, , path = '', mode = 'hold'] = process.argv;
const directory = openDataDirectory(path, systemClock);
const keepAlive = setInterval(() => directory.path, 60_000);

if (mode === 'write') {
  const database = openSqlite(directory.databasePath, { clock: systemClock });
  await migrate(database);
  for (let key = 1; ; key++) {
    const outcome = await database.write([
      {
        sql: `INSERT INTO executions (key, group_id, job_id, attempt, relaunch, node, outcome, reason, output_bytes, log_bytes)
          SELECT coalesce(max(key), 0) + 1, 1, 1, 1, 0, 'n', 0, 0, 0, 0 FROM executions RETURNING key`,
        params: [],
      },
    ]);
    if (outcome.kind !== 'committed') throw new Error(outcome.kind);
    process.stdout.write(`${String(outcome.results[0]?.rows[0]?.['key'])}\n`);
  }
}
process.stdout.write('held\n');
keepAlive.ref();
