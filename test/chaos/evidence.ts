/** What the jobs wrote, read back. */
import { readFileSync } from 'node:fs';
import type { Evidence } from './types.ts';

/** Reads the evidence file; a last line without its end (a job killed inside its write cannot leave one, a test can) is left out. */
export function readEvidence(path: string): Map<string, Evidence> {
  return parseEvidence(readFileSync(path, 'utf8'));
}

export function parseEvidence(text: string): Map<string, Evidence> {
  const found = new Map<string, Evidence>();
  const lines = text.split('\n');
  lines.pop();
  for (const line of lines) {
    const fields = line.split('\t');
    const [kind, ns = '0', id = ''] = fields;
    const at = Number(BigInt(ns) / 1000n) / 1000;
    const one = evidenceOf(found, id);
    if (kind === 'S') {
      const [attempt, group, scheduledAt = '', job = '', , pid, parentPid] = fields.slice(3);
      one.starts.push({
        at,
        attempt: Number(attempt),
        group: Number(group),
        scheduledAt,
        job,
        pid: Number(pid),
        parentPid: Number(parentPid),
      });
    } else if (kind === 'O') one.overlaps.push(at);
    else if (kind === 'T') found.set(id, { ...one, termAt: at });
    else if (kind === 'E') {
      const [code, bytes, hash = ''] = fields.slice(3);
      one.end = { at, code: Number(code), bytes: Number(bytes), hash };
    } else throw new Error(`not a line of evidence: ${line}`);
  }
  return found;
}

export function evidenceOf(found: Map<string, Evidence>, id: string): Evidence {
  let one = found.get(id);
  if (one === undefined) {
    one = { id, starts: [], overlaps: [], termAt: null, end: null, cutAt: null };
    found.set(id, one);
  }
  return one;
}

const FNV_PRIME_LOW = 0x1b3;
const WORD = 2 ** 16;

/** FNV-1a, 64 bits, in four words of 16 bits: BigInt would be the slowest part of the check. */
export function fnv1a64(bytes: Uint8Array): string {
  // The start value 0x1465_0fb0_739d_0383, lowest word first. The prime is 2^40 + 0x1b3: a shift and a small factor.
  let [a, b, c, d] = [0x0383, 0x739d, 0x0fb0, 0x1465];
  for (const byte of bytes) {
    a ^= byte;
    const low0 = a * FNV_PRIME_LOW;
    const low1 = b * FNV_PRIME_LOW + Math.floor(low0 / WORD);
    const low2 = c * FNV_PRIME_LOW + a * 256 + Math.floor(low1 / WORD);
    const low3 = d * FNV_PRIME_LOW + b * 256 + Math.floor(low2 / WORD);
    a = low0 % WORD;
    b = low1 % WORD;
    c = low2 % WORD;
    d = low3 % WORD;
  }
  return [d, c, b, a].map((word) => word.toString(16).padStart(4, '0')).join('');
}
