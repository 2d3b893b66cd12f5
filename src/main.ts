// argv → command → exit code. Everything heavy is loaded when a command asks for it, so that `belfry --help` is quick.
import { readFileSync } from 'node:fs';
import { type CliServices, runCli } from './cli/program.ts';
import { outliveReaders, processTerminal } from './cli/terminal.ts';

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

const services: CliServices = {
  version,
  startNode: async () => (await import('./app.ts')).startNode,
  fileProblems: async () => (await import('./http/edge-files.ts')).edgeFileProblems,
  preview: async () => {
    const [{ preview }, { systemClock }] = await Promise.all([
      import('./core/schedule/index.ts'),
      import('./lib/clock.ts'),
    ]);
    return (request, defaultZone) => preview(request, { nowMs: systemClock.now(), defaultZone });
  },
  backup: async () => {
    const [{ backupCommands }, { createBackup, verifyBackup }, { restoreBackup }, { systemClock }] = await Promise.all([
      import('./cli/backup.ts'),
      import('./store/backup.ts'),
      import('./store/restore.ts'),
      import('./lib/clock.ts'),
    ]);
    const modules = { clock: systemClock };
    return backupCommands(
      {
        create: async (options) => createBackup(options, modules),
        verify: async (file) => verifyBackup(file),
        restore: (options) => restoreBackup(options, modules),
        now: () => systemClock.now(),
      },
      processTerminal,
    );
  },
};

outliveReaders();
// Nothing calls process.exit: the process ends because nothing is left.
process.exitCode = await runCli(process.argv.slice(2), process.env, services, processTerminal);
