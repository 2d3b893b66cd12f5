// Sizes as people write them: "64MiB", "1.5GB", "512k", "4096".

const KIB = 1024;
const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  bytes: 1,
  // One letter means the binary unit, as in systemd and Docker.
  k: KIB,
  m: KIB ** 2,
  g: KIB ** 3,
  t: KIB ** 4,
  kib: KIB,
  mib: KIB ** 2,
  gib: KIB ** 3,
  tib: KIB ** 4,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
};

const SIZE = /^\s*(\d{1,20}(?:\.\d{1,10})?)\s*([a-z]{0,5})\s*$/i;

/** Whole bytes, rounded down; undefined for anything that is no size of 0 to 2^53 - 1 bytes. */
export function parseBytes(text: string): number | undefined {
  const match = SIZE.exec(text);
  const factor = UNITS[(match?.[2] ?? '').toLowerCase()];
  if (match === null || factor === undefined) return undefined;
  // Half a byte is a size whose unit was forgotten.
  if (match[2] === '' && match[1]?.includes('.')) return undefined;
  const bytes = Math.floor(Number(match[1]) * factor);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** The shortest binary form that `parseBytes` reads back exactly: 67108864 → "64MiB", 1000 → "1000". */
export function formatBytes(bytes: number): string {
  for (const [unit, size] of [
    ['TiB', KIB ** 4],
    ['GiB', KIB ** 3],
    ['MiB', KIB ** 2],
    ['KiB', KIB],
  ] as const) {
    if (bytes >= size && bytes % size === 0) return `${bytes / size}${unit}`;
  }
  return String(bytes);
}
