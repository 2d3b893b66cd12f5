/** How many processes a second a C loop starts that does nothing else: what a figure of this minute is read beside. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { hitProgram } from '../drive/targets.ts';
import type { BenchContext } from '../lib/benchmark.ts';
import { rounded } from '../lib/samples.ts';

/** About a second's work. */
const STARTS = 1_500;

/** Of the program that the measured jobs start, directly or through `/bin/sh -c`; its lines go nowhere. */
export function bareStarts(context: BenchContext, way: 'direct' | 'sh', starts = STARTS): number {
  const loop = join(context.scratch, 'starts');
  if (!existsSync(loop)) execFileSync('gcc', ['-O2', '-o', loop, join(import.meta.dirname, 'starts.c')]);
  const job = [hitProgram(context), '/dev/null', 'bare'];
  const words = way === 'direct' ? job : ['/bin/sh', '-c', job.join(' ')];
  return rounded(Number(execFileSync(loop, [String(starts), ...words], { encoding: 'utf8' })));
}
