// Durations as people write them: Go's syntax ("1h30m", "1.5s", "250ms") plus d and w.

const UNIT_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3, // U+00B5 micro sign
  μs: 1e-3, // U+03BC Greek mu; Go accepts both
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

const DURATION = /^([+-]?)((?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h|d|w))+)$/;
const PART = /(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h|d|w)/g;

/** Longer text is no duration anybody writes; the limit keeps the patterns cheap. */
const TEXT_MAX = 100;

/**
 * Milliseconds (possibly fractional or negative) for "1h30m", "1.5s", "-2m", "1d12h", "2w" or "0"; undefined for anything else.
 * A day is 24 h and a week 7 days, whatever the clocks do.
 */
export function parseDuration(text: string): number | undefined {
  if (text === '0' || text === '+0' || text === '-0') return 0;
  if (text.length > TEXT_MAX) return undefined;
  const match = DURATION.exec(text);
  if (match === null) return undefined;
  let ms = 0;
  for (const part of (match[2] ?? '').matchAll(PART)) ms += Number(part[1]) * (UNIT_MS[part[2] ?? ''] ?? Number.NaN);
  if (!Number.isFinite(ms) || ms > Number.MAX_SAFE_INTEGER) return undefined;
  return match[1] === '-' ? -ms : ms;
}

/** The shortest text `parseDuration` reads back as the same whole milliseconds: 5400000 → "1h30m". */
export function formatDuration(ms: number): string {
  let rest = Math.abs(Math.round(ms));
  if (rest === 0) return '0s';
  let text = ms < 0 ? '-' : '';
  for (const [unit, size] of [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['m', 60_000],
    ['s', 1_000],
    ['ms', 1],
  ] as const) {
    const n = Math.floor(rest / size);
    if (n > 0) text += `${n}${unit}`;
    rest -= n * size;
  }
  return text;
}
