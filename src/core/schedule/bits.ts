// Sets of 0-59 in two words of 30 bits (so that both stay small integers), and single words.

/** The lowest member ≥ `from`, or -1. */
export function next60(low: number, high: number, from: number): number {
  if (from < 30) {
    const word = low & (-1 << from);
    if (word !== 0) return lowestBit(word);
    return high === 0 ? -1 : 30 + lowestBit(high);
  }
  if (from > 59) return -1;
  const word = high & (-1 << (from - 30));
  return word === 0 ? -1 : 30 + lowestBit(word);
}

/** The highest member ≤ `from`, or -1. */
export function previous60(low: number, high: number, from: number): number {
  if (from >= 30) {
    const word = high & below(from - 29);
    if (word !== 0) return 61 - Math.clz32(word);
    return low === 0 ? -1 : 31 - Math.clz32(low);
  }
  const word = from < 0 ? 0 : low & below(from + 1);
  return word === 0 ? -1 : 31 - Math.clz32(word);
}

/** How many members are < `end`. */
export function countBelow60(low: number, high: number, end: number): number {
  return end <= 30 ? popcount(low & below(end)) : popcount(low) + popcount(high & below(end - 30));
}

export function has60(low: number, high: number, value: number): boolean {
  return ((value < 30 ? low >> value : high >> (value - 30)) & 1) === 1;
}

/** The lowest `n` bits set, 0 ≤ n ≤ 31. */
export function below(n: number): number {
  return n >= 31 ? 0x7fff_ffff : (1 << n) - 1;
}

export function lowestBit(word: number): number {
  return 31 - Math.clz32(word & -word);
}

export function popcount(word: number): number {
  let n = word - ((word >> 1) & 0x5555_5555);
  n = (n & 0x3333_3333) + ((n >> 2) & 0x3333_3333);
  return Math.imul((n + (n >> 4)) & 0x0f0f_0f0f, 0x0101_0101) >>> 24;
}

/** Members in rising order. */
export function members60(low: number, high: number): number[] {
  const found: number[] = [];
  for (let v = next60(low, high, 0); v >= 0; v = next60(low, high, v + 1)) found.push(v);
  return found;
}

export function members(word: number): number[] {
  const found: number[] = [];
  for (let rest = word; rest !== 0; rest &= rest - 1) found.push(lowestBit(rest));
  return found;
}
