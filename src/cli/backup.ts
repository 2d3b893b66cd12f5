// `belfry backup create | verify | restore`: what they say and the exit code. The work is the store's, handed in.
import { resolve } from 'node:path';
import { instantText } from '../model/time.ts';
import type { BackupCommands } from './program.ts';
import { EXIT, sayError, type Terminal } from './terminal.ts';

/** What the store tells of a backup (store/backup.ts). Instants in epoch ms. */
export interface BackupFacts {
  readonly file: string;
  readonly bytes: number;
  readonly manifest: { readonly createdAt: number } | null;
  readonly schemaVersion: number;
  readonly epoch: number;
  readonly jobs: number;
  readonly occurrences: number;
  readonly executions: number;
  readonly openExecutions: number;
  readonly newestAt: number | null;
}

/** store/backup.ts and store/restore.ts with their clock. All throw AppError. */
export interface BackupServices {
  create(options: { dataDir: string; file: string }): Promise<BackupFacts>;
  verify(file: string): Promise<BackupFacts>;
  restore(options: { dataDir: string; mayCreate: boolean; file: string; catchUp: boolean }): Promise<{
    readonly summary: BackupFacts;
    readonly epoch: number;
    readonly replaced: string | null;
  }>;
  /** Wall time, epoch ms: names the file when none is given. */
  now(): number;
}

/** Each command says what it did, or the error and its remedy. */
export function backupCommands(services: BackupServices, terminal: Terminal): BackupCommands {
  return {
    runBackupCreate: ({ dataDir, file }) =>
      reported(terminal, async () => {
        const made = await services.create({ dataDir, file: file ?? defaultName(services.now()) });
        terminal.data(`Backup written to ${made.file}`);
        sayFacts(terminal, made);
      }),
    runBackupVerify: ({ file }) =>
      reported(terminal, async () => {
        const facts = await services.verify(file);
        terminal.data(`${facts.file} is whole.`);
        sayFacts(terminal, facts);
      }),
    runBackupRestore: ({ dataDir, mayCreate, file, catchUp }) =>
      reported(terminal, async () => {
        const { summary, epoch, replaced } = await services.restore({ dataDir, mayCreate, file, catchUp });
        terminal.data(`Restored ${summary.file} into ${resolve(dataDir)}.`);
        sayFacts(terminal, { ...summary, epoch });
        if (replaced !== null) terminal.data(`  replaced:    kept as ${replaced}`);
        terminal.data(
          catchUp
            ? 'At the next start the misfire policy of each job decides about the time since the backup.'
            : 'At the next start the time since the backup is recorded as missed (restored); nothing of it runs again.',
        );
      }),
  };
}

async function reported(terminal: Terminal, run: () => Promise<void>): Promise<number> {
  try {
    await run();
    return EXIT.ok;
  } catch (error) {
    sayError(terminal, error);
    return EXIT.failure;
  }
}

function sayFacts(terminal: Terminal, facts: BackupFacts): void {
  const made =
    facts.manifest === null
      ? 'unknown (a plain copy, not made by belfry backup create)'
      : instantText(facts.manifest.createdAt);
  const newest = facts.newestAt === null ? '' : `, newest due ${instantText(facts.newestAt)}`;
  const open = facts.openExecutions === 0 ? '' : `, ${facts.openExecutions} of them unfinished`;
  terminal.data(`  made:        ${made}`);
  terminal.data(`  size:        ${facts.bytes} bytes, schema version ${facts.schemaVersion}, epoch ${facts.epoch}`);
  terminal.data(`  jobs:        ${facts.jobs}`);
  terminal.data(`  occurrences: ${facts.occurrences}${newest}`);
  terminal.data(`  executions:  ${facts.executions}${open}`);
}

/** belfry-20261122T170000Z.backup, in the working directory. */
function defaultName(now: number): string {
  return `belfry-${instantText(Math.floor(now / 1000) * 1000).replaceAll(/[-:]/g, '')}.backup`;
}
