/** A rename, a link or a new file is durable only after its directory is. */
import { closeSync, fsyncSync, openSync } from 'node:fs';

export function syncDirectory(directory: string): void {
  const handle = openSync(directory, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
