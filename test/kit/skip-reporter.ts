// Says at the end of a run what was skipped and why, so that a green run cannot hide a missing tool.
import type { Reporter, TestCase, TestModule } from 'vitest/node';
import { SKIPPED } from './skip.ts';

export default class SkipReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const counts = new Map<string, number>();
    for (const module of modules) {
      for (const test of module.children.allTests('skipped')) {
        const reason = reasonOf(test);
        counts.set(reason, (counts.get(reason) ?? 0) + 1);
      }
    }
    if (counts.size === 0) return;
    console.log('\nSkipped:');
    for (const [reason, count] of counts) console.log(`  ${count} ${count === 1 ? 'test' : 'tests'}: ${reason}`);
  }
}

/** The reason of skipUnless, else the note of `context.skip(note)`. */
function reasonOf(test: TestCase): string {
  const named = test.fullName.indexOf(SKIPPED);
  if (named >= 0) return test.fullName.slice(named + SKIPPED.length).split(' > ')[0] ?? '';
  const result = test.result();
  return (result.state === 'skipped' ? result.note : undefined) ?? `no reason given (${test.fullName})`;
}
