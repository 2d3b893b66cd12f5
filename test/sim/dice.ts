/** Seeded choices. */
import { type Random, seededRandom } from '../../src/lib/random.ts';

export class Dice {
  readonly random: Random;

  constructor(seed: number) {
    this.random = seededRandom(seed);
  }

  chance(share: number): boolean {
    return this.random.float() < share;
  }

  /** An integer of [from, to]. */
  int(from: number, to: number): number {
    return from + Math.floor(this.random.float() * (to - from + 1));
  }

  pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.random.float() * list.length)] as T;
  }

  /** One of the names, by weight. */
  weighted<T extends string>(weights: Readonly<Record<T, number>>): T {
    const entries = Object.entries<number>(weights) as [T, number][];
    let at = this.random.float() * entries.reduce((sum, [, weight]) => sum + weight, 0);
    for (const [name, weight] of entries) if ((at -= weight) < 0) return name;
    return (entries[0] as [T, number])[0];
  }
}

/** A number of [0, 1) that depends on nothing but its two arguments. */
export function hashShare(seed: number, value: number): number {
  let h =
    Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^
    Math.imul(value % 4_294_967_296, 0xc2b2ae35) ^
    Math.imul(Math.floor(value / 4_294_967_296), 0x27d4eb2f);
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
  h = Math.imul(h ^ (h >>> 12), 0x297a2d39);
  return ((h ^ (h >>> 15)) >>> 0) / 4_294_967_296;
}
