/** Randomness as a parameter, so that a simulation can replay it from a seed. */
import { randomFillSync } from 'node:crypto';

export interface Random {
  /** Uniform in [0, 1). */
  float(): number;
}

const buffer = new Uint32Array(1);

/** The operating system's randomness. */
export const systemRandom: Random = {
  float: () => {
    randomFillSync(buffer);
    return (buffer[0] ?? 0) / 2 ** 32;
  },
};

/** A seeded generator (mulberry32): the same seed gives the same numbers on every platform. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return {
    float() {
      state = (state + 0x6d2b79f5) >>> 0;
      let t = state;
      t = Math.imul(t ^ (t >>> 15), t | 1);
      t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
      return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
    },
  };
}
