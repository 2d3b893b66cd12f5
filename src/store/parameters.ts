/** Both engines bind NULL for a parameter that was not given; that would be a silent error of the caller. */

/** How many parameters a statement takes: `?` each count one, `?3` names the third. */
export function parameterCount(sql: string): number {
  let count = 0;
  for (const [token, number] of sql.matchAll(/'(?:[^']|'')*'|\?(\d*)/g)) {
    if (token.startsWith('?')) count = number === '' ? count + 1 : Math.max(count, Number(number));
  }
  return count;
}

/** What is wrong, in words, or undefined. */
export function parameterProblem(sql: string, wanted: number, given: number): string | undefined {
  return wanted === given ? undefined : `${given} parameters for the ${wanted} of «${sql.slice(0, 80)}»`;
}
