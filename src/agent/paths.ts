/** Where the agent keeps things below the data directory. A log's path follows from its key, so nothing has to remember it. */
import { join } from 'node:path';

export function runnersDirectory(dataDir: string): string {
  return join(dataDir, 'runners');
}

export function runnerDirectory(dataDir: string, runner: string): string {
  return join(dataDir, 'runners', runner);
}

export function logsDirectory(dataDir: string): string {
  return join(dataDir, 'logs');
}

const HOUR_US = 3_600_000_000;

/** Hours since 1970 of the execution's key (epoch µs): a directory per hour keeps directories small and lets whole hours be removed. */
export function logHourDirectory(dataDir: string, key: number): string {
  return `${dataDir}/logs/${Math.floor(key / HOUR_US)}`;
}

/** Path of the execution's log without its ending: `.out`, `.err` (raw bytes) and `.idx` (chunks). */
export function logBase(dataDir: string, key: number): string {
  return `${logHourDirectory(dataDir, key)}/${key}`;
}
