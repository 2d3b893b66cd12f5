/**
 * The `files` processor: the full log as `<log_dir>/<execution id>.log`. The file appears whole or not at all (written beside, synced,
 * renamed), and the output becomes its path only when it is there; otherwise the output stays. Running it twice gives the same file.
 */
import { constants } from 'node:fs';
import { mkdir, open, rename, rm, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import type { Processor, ProcessorContext } from './processor.ts';
import { readForward } from './forward.ts';

/** Dkron's, because whatever collects the files looks there. */
export const FILES_LOG_DIR_DEFAULT = '/var/log/dkron';
/** As Dkron; the process's umask can make it narrower. */
const FILE_MODE = 0o644;
const DIR_MODE = 0o755;
/** Of a file name with its suffixes; file systems take 255. */
const ID_BYTES_MAX = 240;

export interface FilesProcessorOptions {
  /** Used, and created when missing, where the job names no `log_dir`. */
  readonly logDirDefault?: string;
}

export function createFilesProcessor({ logDirDefault = FILES_LOG_DIR_DEFAULT }: FilesProcessorOptions = {}): Processor {
  return {
    name: 'files',
    async process(execution, config, context) {
      const { forward, problem } = readForward(config);
      const given = config['log_dir'] ?? '';
      const dir = path.resolve(given === '' ? logDirDefault : given);
      const failure = await write(dir, given === '', execution.id, context);
      if (failure !== undefined) return { output: execution.output, problem: failure };
      const output = forward ? execution.output : path.join(dir, `${execution.id}.log`);
      return problem === undefined ? { output } : { output, problem };
    },
  };
}

/** Writes the log; one line of what went wrong, or undefined. */
async function write(dir: string, create: boolean, id: string, context: ProcessorContext): Promise<string | undefined> {
  if (!isFileName(id)) return `the execution id is no file name: nothing written to ${dir}`;
  const target = path.join(dir, `${id}.log`);
  const part = path.join(dir, `.${id}.log.part`);
  try {
    if (create) await mkdir(dir, { recursive: true, mode: DIR_MODE });
    await rm(part, { force: true }); // left by a crash, or put there by somebody
    await writePart(part, context);
    await rename(part, target);
    return undefined;
  } catch (error) {
    await removeQuietly(part);
    return `cannot write ${target} (${(error as NodeJS.ErrnoException).code ?? (error as Error).message})`;
  }
}

/** Node names go into execution ids: none may lead out of the directory. */
function isFileName(id: string): boolean {
  return id !== '' && !/[/\\\u0000]/.test(id) && !id.startsWith('.') && Buffer.byteLength(id) <= ID_BYTES_MAX;
}

async function writePart(part: string, context: ProcessorContext): Promise<void> {
  // EXCL: never through a link that somebody placed there.
  const file = await open(part, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, FILE_MODE);
  try {
    for await (const chunk of context.openLog()) {
      context.signal.throwIfAborted();
      await writeAll(file, chunk);
    }
    // The rename must not reach the disk before the bytes: a power cut would leave an empty file under the final name.
    await file.datasync();
    context.signal.throwIfAborted();
  } finally {
    await file.close();
  }
}

async function writeAll(file: FileHandle, chunk: Uint8Array): Promise<void> {
  let rest = chunk;
  while (rest.length > 0) {
    const { bytesWritten } = await file.write(rest);
    rest = rest.subarray(bytesWritten);
  }
}

/** The failure that led here is the one to tell; a part that cannot be removed is overwritten by the next run. */
async function removeQuietly(part: string): Promise<void> {
  await rm(part, { force: true }).catch(() => undefined);
}
