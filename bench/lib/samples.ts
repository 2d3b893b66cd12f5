/** Distributions in a few words. */

export interface Spread {
  readonly min: number;
  readonly median: number;
  readonly max: number;
}

/** The value below which `share` (0…1) of the samples lie; NaN without samples. */
export function quantile(samples: readonly number[], share: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export function spreadOf(samples: readonly number[]): Spread {
  const known = samples.filter((sample) => !Number.isNaN(sample));
  return { min: rounded(quantile(known, 0)), median: rounded(quantile(known, 0.5)), max: rounded(quantile(known, 1)) };
}

/** Three significant digits, and whole numbers from 100 on. */
export function rounded(value: number): number {
  return Math.abs(value) >= 100 ? Math.round(value) : Number(value.toPrecision(3));
}

/** p50, p99 and the largest, prefixed: `late` → late_p50_ms … */
export function latencies(name: string, samplesMs: readonly number[]): Record<string, number> {
  return {
    [`${name}_p50_ms`]: rounded(quantile(samplesMs, 0.5)),
    [`${name}_p99_ms`]: rounded(quantile(samplesMs, 0.99)),
    [`${name}_max_ms`]: rounded(quantile(samplesMs, 1)),
  };
}
