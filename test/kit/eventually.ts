// Waiting for what happens elsewhere: ask again until it is so, with a deadline that says what was awaited.

/** The first value of `probe` that is not undefined. Throws after `timeoutMs` with what was seen last. */
export async function eventually<T>(what: string, probe: () => Promise<T | undefined>, timeoutMs = 20_000): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const value = await probe();
    if (value !== undefined) return value;
    if (performance.now() > deadline) throw new Error(`waited ${timeoutMs} ms for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 15));
  }
}
