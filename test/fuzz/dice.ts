/** Random inputs from a seed: texts that are nearly right, JSON that is nearly right, and noise. */
import { type Random, seededRandom } from '../../src/lib/random.ts';

/** Pieces that break parsers: limits of numbers, quotes, separators, control and multi-byte characters, prototype names. */
const NASTY = [
  '',
  ' ',
  '\t',
  '\n',
  '\r\n',
  '\0',
  '\u001b[31m',
  '"',
  "'",
  '\\',
  '\\u',
  '`',
  '$(id)',
  '${x}',
  '%00',
  '%',
  '&',
  '|',
  ';',
  '<',
  '>',
  '(',
  ')',
  '[',
  ']',
  '{',
  '}',
  '-',
  '--',
  '-1',
  '0',
  '-0',
  '00',
  '1e999',
  '1e-999',
  '0x10',
  '9007199254740993',
  '9223372036854775808',
  '99999999999999999999',
  'NaN',
  'Infinity',
  '-Infinity',
  'null',
  'undefined',
  'true',
  '__proto__',
  'constructor',
  'toString',
  '../..',
  '/etc/passwd',
  '..',
  '.',
  'é',
  'ß',
  'İ',
  'ﬀ',
  '中',
  '😀',
  '\ud800',
  '\udc00',
  '\u202e',
  '\ufeff',
  '\u2028',
  ',',
  ',,',
  '*',
  '**',
  '*/0',
  '/',
  '//',
  '?',
  '#',
  'L',
  'W',
  'LW',
  'H',
  '~',
  '@',
  '@every',
  '@at',
  'TZ=',
  'CRON_TZ=',
  '+',
  '=',
  '==',
  ':',
  '::',
  '%s%n',
];

export class Dice {
  readonly #random: Random;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
  }

  /** Uniform in [0, below). */
  int(below: number): number {
    return Math.floor(this.#random.float() * below);
  }

  between(from: number, to: number): number {
    return from + this.int(to - from + 1);
  }

  chance(share: number): boolean {
    return this.#random.float() < share;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.int(list.length)] as T;
  }

  /** Small numbers mostly, sometimes very large ones. */
  size(max: number): number {
    return Math.min(max, Math.floor(2 ** (this.#random.float() * Math.log2(max + 1))) - (this.chance(0.3) ? 1 : 0));
  }

  noise(lengthMax: number): string {
    const length = this.size(lengthMax);
    let text = '';
    while (text.length < length)
      text += this.chance(0.2)
        ? this.pick(NASTY) || ' '
        : String.fromCharCode(this.int(this.chance(0.8) ? 128 : 65_536));
    return text;
  }

  bytes(lengthMax: number): Buffer {
    return Buffer.from(Array.from({ length: this.size(lengthMax) }, () => this.int(256)));
  }

  /** A text with some places changed; often left as it is. */
  mangle(text: string): string {
    let result = text;
    for (let times = this.chance(0.35) ? 0 : this.between(1, 4); times > 0; times -= 1)
      result = this.#mangleOnce(result);
    return result;
  }

  #mangleOnce(text: string): string {
    const at = this.int(text.length + 1);
    const end = Math.min(text.length, at + this.size(12));
    switch (this.int(8)) {
      case 0:
        return text.slice(0, at) + this.pick(NASTY) + text.slice(at);
      case 1:
        return text.slice(0, at) + text.slice(end);
      case 2:
        return text.slice(0, at) + text.slice(at, end).repeat(this.between(2, 4)) + text.slice(end);
      case 3:
        return text.slice(0, at) + this.pick(NASTY) + text.slice(end);
      case 4:
        return text.slice(0, at);
      case 5:
        return text.slice(0, at) + String.fromCharCode(this.int(256)) + text.slice(at + 1);
      case 6:
        return this.chance(0.02) ? text + this.pick(NASTY).repeat(this.size(100_000)) : text + this.pick(NASTY);
      default:
        return this.chance(0.5) ? text.toUpperCase() : this.noise(60);
    }
  }

  /** Bytes with some flipped, cut out or put in. */
  mangleBytes(bytes: Buffer): Buffer {
    let result = Buffer.from(bytes);
    for (let times = this.between(0, 4); times > 0; times -= 1) {
      const at = this.int(result.length + 1);
      const kind = this.int(4);
      if (kind === 0 && at < result.length) result[at] = this.int(256);
      else if (kind === 1) result = result.subarray(0, at);
      else if (kind === 2) result = Buffer.concat([result.subarray(0, at), this.bytes(20), result.subarray(at)]);
      else
        result = Buffer.concat([result.subarray(0, at), result.subarray(Math.min(result.length, at + this.size(40)))]);
    }
    return result;
  }

  /** Any JSON value, nested a little. */
  json(depth = 3): unknown {
    const kind = this.int(depth > 0 ? 9 : 7);
    if (kind === 0) return this.pick([null, true, false]);
    if (kind === 1) return this.pick([0, -1, 1.5, 1e308, -0, 2 ** 53, 2 ** 63, 1e21, Number.MIN_VALUE, this.int(1000)]);
    if (kind <= 4) return this.pick(NASTY);
    if (kind <= 6) return this.noise(20);
    if (kind === 7) return Array.from({ length: this.size(5) }, () => this.json(depth - 1));
    return Object.fromEntries(Array.from({ length: this.size(5) }, () => [this.pick(NASTY), this.json(depth - 1)]));
  }

  /** A value of the same shape with some of its leaves replaced, dropped or added. */
  mangleJson(value: unknown, share = 0.12): unknown {
    if (this.chance(share)) return this.chance(0.5) && typeof value === 'string' ? this.mangle(value) : this.json();
    if (Array.isArray(value))
      return value.filter(() => !this.chance(share / 3)).map((one) => this.mangleJson(one, share));
    if (typeof value !== 'object' || value === null) return value;
    const entries = Object.entries(value).filter(() => !this.chance(share / 3));
    const changed = entries.map(
      ([key, one]) => [this.chance(share / 6) ? this.mangle(key) : key, this.mangleJson(one, share)] as const,
    );
    if (this.chance(share / 2)) changed.push([this.pick(NASTY), this.json()]);
    return Object.fromEntries(changed);
  }
}
