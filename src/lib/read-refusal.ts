/** Asks without opening: opening a FIFO would wait for its writer. */
import { accessSync, constants } from 'node:fs';

/** The system's word for why this user cannot read `path` (ENOENT when nothing is there); undefined when it can. */
export function readRefusal(path: string): string | undefined {
  try {
    accessSync(path, constants.R_OK);
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'unknown error';
  }
}
