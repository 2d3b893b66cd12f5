// The tree of commands: which words there are, their help, and what each calls. Commands are loaded when called, so that help is quick.
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import type { StartNode } from './agent.ts';
import { nearest } from '../model/nearest.ts';
import type { Config } from '../model/config.ts';
import type { ConfigProblem, Origins } from '../model/parse-config.ts';
import type { FileProblems } from './load-config.ts';
import { optionsHelp } from './options-help.ts';
import type { Preview } from './schedule-explain.ts';
import { EXIT, sayError, sayProblems, type Terminal } from './terminal.ts';

/** What main.ts hands in: everything the CLI must not import itself. Loaded on first use. */
export interface CliServices {
  readonly version: string;
  readonly startNode: () => Promise<StartNode>;
  readonly fileProblems: () => Promise<FileProblems>;
  readonly preview: () => Promise<Preview>;
  readonly backup: () => Promise<BackupCommands>;
}

/** src/cli/backup.ts. Each resolves to the exit code. */
export interface BackupCommands {
  readonly runBackupCreate: (options: { dataDir: string; file: string | null }) => Promise<number>;
  readonly runBackupVerify: (options: { file: string }) => Promise<number>;
  /** `mayCreate`: somebody named the directory, which is then made if missing. */
  readonly runBackupRestore: (options: {
    dataDir: string;
    mayCreate: boolean;
    file: string;
    catchUp: boolean;
  }) => Promise<number>;
}

type Env = Readonly<Record<string, string | undefined>>;

/** Everything a command needs beside its own arguments. */
interface Context {
  readonly services: CliServices;
  readonly env: Env;
  readonly terminal: Terminal;
  /** Set by the command that ran. */
  exitCode: number;
}

/** Runs one command line and resolves to its exit code. Never throws and never calls process.exit. */
export async function runCli(
  argv: readonly string[],
  env: Env,
  services: CliServices,
  terminal: Terminal,
): Promise<number> {
  const context: Context = { services, env, terminal, exitCode: EXIT.ok };
  const program = buildProgram(context);
  try {
    // Without a command nothing was asked: a service that lacks its "agent" must not look as if it had done its work.
    if (argv.length === 0) program.help({ error: true });
    await program.parseAsync([...argv], { from: 'user' });
    return context.exitCode;
  } catch (error) {
    // commander has already said what is wrong, or shown the help that was asked for.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    sayError(terminal, error);
    return EXIT.failure;
  }
}

function buildProgram(context: Context): Command {
  const { terminal, services } = context;
  const program = new Command('belfry')
    .description('A fault-tolerant cron: every job on time, none lost, none doubled, all on record.')
    .configureOutput({
      writeOut: (text) => terminal.data(text.trimEnd()),
      writeErr: (text) => terminal.talk(text.trimEnd()),
    })
    .exitOverride()
    .version(services.version, '-v, --version', 'print the version')
    .helpCommand(false)
    .addHelpText(
      'after',
      examples(
        'belfry agent',
        'belfry agent --http-addr 127.0.0.1:18080 --data-dir /tmp/second',
        "belfry schedule explain '30 2 * * 1-5' --tz Europe/Madrid",
      ),
    )
    .showSuggestionAfterError();
  addAgent(program, context);
  addConfig(program, context);
  addSchedule(program, context);
  addBackup(program, context);
  program
    .command('version')
    .description('print the version')
    .action(() => terminal.data(services.version));
  program
    .command('help')
    .description('show the help of a command')
    .argument('[command...]')
    .action((words: string[]) => helpOf(program, words));
  pointToHelp(program);
  return program;
}

/** What a variable that is not set leaves of "$FILE"; it would be taken for the working directory. */
function notEmpty(text: string): string {
  if (text === '') throw new InvalidArgumentError('It is empty.');
  return text;
}

function helpOf(program: Command, words: readonly string[]): void {
  let command = program;
  for (const word of words) {
    const next = command.commands.find((one) => one.name() === word);
    if (next === undefined) {
      const near = nearest(
        word,
        command.commands.map((one) => one.name()),
      );
      return command.error(`error: unknown command '${word}'${near === undefined ? '' : ` (Did you mean ${near}?)`}`);
    }
    command = next;
  }
  command.outputHelp();
}

/** Each command's errors end with where its own help is. */
function pointToHelp(command: Command, parents = ''): void {
  const path = `${parents}${command.name()}`;
  command.configureOutput({
    outputError: (text, write) => {
      const cause = text
        .replace(/^error: /, 'belfry: ')
        .trimEnd()
        .replaceAll('\n', ' ');
      const isStray = parents === '' && cause.includes('unknown option');
      const order = isStray ? 'Options follow a command, as in "belfry agent --data-dir /var/lib/belfry". ' : '';
      write(`${cause}\n  ${order}See "${path} --help".`);
    },
  });
  for (const child of command.commands) pointToHelp(child, `${path} `);
}

function examples(...lines: string[]): string {
  return `\nExamples:\n${lines.map((line) => `  ${line}`).join('\n')}`;
}

/** The node's options are read by loadConfig, which names all that is wrong at once: commander hands them through as written. */
function withNodeOptions(command: Command): Command {
  return command
    .usage('[options]')
    .argument('[options...]')
    .allowUnknownOption()
    .configureHelp({ visibleArguments: () => [] });
}

function addAgent(program: Command, context: Context): void {
  withNodeOptions(program.command('agent'))
    .description('start a node')
    .addHelpText('after', () => `\n${optionsHelp()}`)
    .addHelpText(
      'after',
      examples(
        'belfry agent',
        'belfry agent --http-addr 127.0.0.1:18080 --data-dir /tmp/second',
        'belfry agent --config /etc/belfry/belfry.yml --log-format json',
      ),
    )
    .action(async (argv: string[]) => {
      const { runAgent } = await import('./agent.ts');
      context.exitCode = await runAgent(argv, context.env, context.services, context.terminal);
    });
}

function addConfig(program: Command, context: Context): void {
  const config = program.command('config').description('check or show the configuration without starting anything');
  withNodeOptions(config.command('check'))
    .description('say everything that is wrong with the options, the environment and the file')
    .addHelpText('after', examples('belfry config check', 'belfry config check --config /etc/belfry/belfry.yml'))
    .action(async (argv: string[]) => {
      const { checkConfig } = await import('./config-commands.ts');
      context.exitCode = await checkConfig(argv, context.env, await context.services.fileProblems(), context.terminal);
    });
  withNodeOptions(config.command('show'))
    .description('print every option as the agent would take it; secrets are left out')
    .option('--origin', 'say where each value came from')
    .addHelpText(
      'after',
      examples('belfry config show', 'belfry config show --origin', 'belfry config show > belfry.yml'),
    )
    .action(async (argv: string[], options: { origin?: boolean }) => {
      const { showConfig } = await import('./config-commands.ts');
      context.exitCode = await showConfig(argv, context.env, options.origin === true, context.terminal);
    });
}

function addSchedule(program: Command, context: Context): void {
  const schedule = program.command('schedule').description('look at schedules, offline');
  schedule
    .command('explain')
    .description('say a schedule in words, with its next times and what to know about them')
    .argument(
      '<schedule...>',
      'for example "30 2 * * 1-5", "@daily" or "@every 90s"; in quotes, or the shell replaces *',
    )
    .option('--tz <zone>', "time zone (default: this machine's)")
    .option('-n, --count <number>', 'how many times, 1 to 1000', '10')
    .option('--name <job>', 'job the schedule is of: "H" and "~" depend on it')
    .addHelpText(
      'after',
      examples(
        "belfry schedule explain '30 2 * * 1-5' --tz Europe/Madrid",
        "belfry schedule explain '@every 90s' -n 3",
        "belfry schedule explain 'H H(1-5) * * *' --name backup",
      ),
    )
    .action(async (words: string[], options: { tz?: string; count: string; name?: string }) => {
      const { explainSchedule } = await import('./schedule-explain.ts');
      context.exitCode = explainSchedule(words, options, await context.services.preview(), context.terminal);
    });
}

const DATA_DIR = ['--data-dir <dir>', 'the data directory (default: as the agent takes it)'] as const;

function addBackup(program: Command, context: Context): void {
  const backup = program.command('backup').description('copies of the whole state');
  backup
    .command('create')
    .description('copy the state of a data directory into one file, also while its node runs')
    .argument('[file]', 'where to; by default belfry-<time>.backup here', notEmpty)
    .option(...DATA_DIR)
    .addHelpText(
      'after',
      examples('belfry backup create', 'belfry backup create /backups/monday.backup --data-dir /var/lib/belfry'),
    )
    .action(async (file: string | undefined, options: { dataDir?: string }) => {
      const { runBackupCreate } = await context.services.backup();
      await withDataDir(context, options, ({ dataDir }) => runBackupCreate({ dataDir, file: file ?? null }));
    });
  backup
    .command('verify')
    .description('say whether a backup is whole and what is in it')
    .argument('<file>', 'the backup', notEmpty)
    .addHelpText('after', examples('belfry backup verify /backups/monday.backup'))
    .action(async (file: string) => {
      context.exitCode = await (await context.services.backup()).runBackupVerify({ file });
    });
  addRestore(backup, context);
}

function addRestore(backup: Command, context: Context): void {
  backup
    .command('restore')
    .description(
      'put a backup in the place of the state of a data directory whose node is stopped; the old state is kept aside',
    )
    .argument('<file>', 'the backup', notEmpty)
    .option(...DATA_DIR)
    .option('--catch-up', 'apply the misfire policies to the time since the backup instead of skipping it')
    .addHelpText(
      'after',
      examples(
        'belfry backup restore /backups/monday.backup --data-dir /var/lib/belfry',
        'belfry backup restore monday.backup --data-dir /var/lib/belfry --catch-up',
      ),
    )
    .action(async (file: string, options: { dataDir?: string; catchUp?: boolean }) => {
      const { runBackupRestore } = await context.services.backup();
      await withDataDir(context, options, ({ dataDir }, origins) =>
        runBackupRestore({
          dataDir,
          mayCreate: origins.dataDir !== 'default',
          file,
          catchUp: options.catchUp === true,
        }),
      );
    });
}

/** The directory named, else the one the agent would take with this environment and file. */
async function withDataDir(
  context: Context,
  options: { dataDir?: string },
  run: (config: Config, origins: Origins) => Promise<number>,
): Promise<void> {
  const { loadConfig } = await import('./load-config.ts');
  const argv = options.dataDir === undefined ? [] : ['--data-dir', options.dataDir];
  const loaded = await loadConfig(argv, context.env, () => []);
  const problems = loaded.ok ? elsewhere(loaded) : loaded.problems;
  if (loaded.ok && problems.length === 0) context.exitCode = await run(loaded.config, loaded.origins);
  else {
    sayProblems(context.terminal, problems);
    context.exitCode = EXIT.usage;
  }
}

/** With a store elsewhere the data directory holds none of the state. */
function elsewhere({ config, origins }: { config: Config; origins: Origins }): ConfigProblem[] {
  if (config.storeUrl === null) return [];
  const message = `${origins.storeUrl}: the state is in rqlite, not in the data directory`;
  return [{ message, remedy: "Use rqlite's own backup and restore (/db/backup, /db/load)." }];
}
