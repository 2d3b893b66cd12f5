// The stable, well-mixed hash behind H, ~ and jitter. Its values are part of the promise: a job keeps its times over restarts and versions.

/** 32 unsigned bits from text and a salt: FNV-1a over the UTF-16 units, then the finaliser of MurmurHash3 (anagrams and neighbours part). */
export function hashText(text: string, salt: number): number {
  let h = 0x811c_9dc5;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    h = Math.imul(h ^ (unit & 0xff), 0x0100_0193);
    h = Math.imul(h ^ (unit >>> 8), 0x0100_0193);
  }
  return mix(h ^ Math.imul(salt + 1, 0x9e37_79b9));
}

/** 32 unsigned bits from a number up to 2^53 and a seed. */
export function hashNumber(value: number, seed: number): number {
  return mix(mix((value % 4_294_967_296) ^ seed) ^ Math.imul(Math.floor(value / 4_294_967_296) + 1, 0x9e37_79b9));
}

function mix(word: number): number {
  let h = word;
  h = Math.imul(h ^ (h >>> 16), 0x85eb_ca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2_ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
