/**
 * Named places where a test may kill the process it is in, as a power cut or kill -9 would: BELFRY_FAILPOINT=name dies at the first
 * passage, name#3 at the third. BELFRY_FAILPOINT_ONCE=PATH makes a file there first, and a process that finds it passes: so the successor
 * of the dead process, with the same environment, lives. Without the variable a failpoint is one comparison.
 */
import { existsSync, writeFileSync } from 'node:fs';

const wanted = process.env['BELFRY_FAILPOINT'] ?? '';
const once = process.env['BELFRY_FAILPOINT_ONCE'] ?? '';
const [armed, count = '1'] = wanted.split('#');
let passagesLeft = Number(count);

/** Dies by SIGKILL here when the test asked for it; else returns at once. */
export function failpoint(name: string): void {
  if (armed !== name || wanted === '') return;
  passagesLeft -= 1;
  if (passagesLeft > 0) return;
  if (once !== '') {
    if (existsSync(once)) return;
    writeFileSync(once, name);
  }
  process.kill(process.pid, 'SIGKILL');
  // A signal to oneself is delivered before kill returns on Linux; should it ever not be, nothing after this line may run.
  for (;;);
}
