/** The parts of a checkout that benchmarks call in this process. Loaded by path, so that one checkout's benchmarks can measure another. */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

type LeaderModule = typeof import('../../src/server/leader.ts');
type Sqlite = typeof import('../../src/store/sqlite.ts');
type Migrations = typeof import('../../src/store/migrations.ts');
type Leadership = typeof import('../../src/store/leadership.ts');
type ScopeModule = typeof import('../../src/lib/scope.ts');
type RandomModule = typeof import('../../src/lib/random.ts');
type Job = typeof import('../../src/model/job.ts');

export type Leader = Awaited<ReturnType<LeaderModule['startLeader']>>;

export type Sources = Pick<LeaderModule, 'startLeader'> &
  Pick<Sqlite, 'openSqlite'> &
  Pick<Migrations, 'migrate'> &
  Pick<Leadership, 'claimLeadership'> &
  Pick<ScopeModule, 'Scope'> &
  Pick<RandomModule, 'systemRandom'> &
  Pick<Job, 'parseJobInput'>;

export async function loadSources(root: string): Promise<Sources> {
  const load = <T>(path: string) => import(pathToFileURL(join(root, 'src', path)).href) as Promise<T>;
  const [leader, sqlite, migrations, leadership, scope, random, job] = await Promise.all([
    load<LeaderModule>('server/leader.ts'),
    load<Sqlite>('store/sqlite.ts'),
    load<Migrations>('store/migrations.ts'),
    load<Leadership>('store/leadership.ts'),
    load<ScopeModule>('lib/scope.ts'),
    load<RandomModule>('lib/random.ts'),
    load<Job>('model/job.ts'),
  ]);
  return {
    startLeader: leader.startLeader,
    openSqlite: sqlite.openSqlite,
    migrate: migrations.migrate,
    claimLeadership: leadership.claimLeadership,
    Scope: scope.Scope,
    systemRandom: random.systemRandom,
    parseJobInput: job.parseJobInput,
  };
}
