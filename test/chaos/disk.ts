/** A small filesystem of its own for the data directory, so that it can be filled without filling the machine's. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, statfsSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Disk {
  /** Where the data directory goes. */
  readonly path: string;
  readonly kind: 'ext4' | 'plain';
  /** Takes all the room there is. Call it again and again: what is freed meanwhile is taken too. */
  fill(): void;
  /** Gives it back. */
  release(): void;
  close(): void;
}

/** Files of logs are many and small. */
const BYTES_PER_INODE = 4096;

/**
 * ext4 in a file, mounted through a loop device: real blocks, real ENOSPC. Where that is not allowed (no root, no loop devices) a plain
 * directory, and disk faults are left out.
 */
export function openDisk(directory: string, bytes: number): Disk {
  const image = join(directory, 'disk.img');
  const path = join(directory, 'disk');
  mkdirSync(path);
  writeFileSync(image, '');
  truncateSync(image, bytes);
  const made =
    run('mkfs.ext4', '-q', '-F', '-m', '0', '-i', String(BYTES_PER_INODE), image) &&
    run('mount', '-o', 'loop,noatime', image, path);
  if (!made) {
    rmSync(image);
    return { path, kind: 'plain', fill: () => undefined, release: () => undefined, close: () => undefined };
  }
  let files = 0;
  return {
    path,
    kind: 'ext4',
    fill: () => {
      const { bavail, bsize } = statfsSync(path);
      if (bavail > 0) run('fallocate', '-l', String(bavail * bsize), join(path, `foreign-${files++}`));
      // Metadata takes blocks of its own, so the last ones go in small pieces.
      const rest = statfsSync(path).bavail;
      if (rest > 0)
        run(
          'dd',
          'if=/dev/zero',
          `of=${join(path, `foreign-${files++}`)}`,
          `bs=${bsize}`,
          `count=${rest}`,
          'status=none',
        );
    },
    release: () => {
      for (; files > 0; files--) rmSync(join(path, `foreign-${files - 1}`), { force: true });
    },
    close: () => {
      if (!run('umount', path)) run('umount', '-l', path);
    },
  };
}

function run(command: string, ...args: readonly string[]): boolean {
  return spawnSync(command, args, { stdio: 'ignore', timeout: 60_000 }).status === 0;
}
