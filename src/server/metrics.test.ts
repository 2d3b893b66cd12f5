import { expect, test } from 'vitest';
import { readExposition } from '../../test/kit/exposition.ts';
import type { BelfryEvent } from '../model/events.ts';
import { Metrics } from './metrics.ts';

const ended = (job: string): BelfryEvent => ({
  kind: 'execution_ended',
  job,
  group: 1,
  attempt: 1,
  executor: 'shell',
  outcome: 'failed',
  reason: 'exit',
  durationMs: 5,
  final: true,
});

async function scrape(metrics: Metrics) {
  return readExposition((await metrics.text()).body);
}

test('label values keep every character', async () => {
  const metrics = new Metrics();
  const names = ['plain', 'größe-ß', 'a"b', 'a\\b', 'a\nb', 'a\\nb', '}', ',x="y"', ''];
  for (const name of names) metrics.count(ended(name));
  const samples = (await scrape(metrics)).get('dkron_job_executions_failed_total')?.samples;
  expect(samples?.map(({ labels }) => labels['job_name'])).toEqual(names);
});

test('counters only rise from one scrape to the next, and CPU time is one', async () => {
  const metrics = new Metrics();
  metrics.count(ended('j'));
  const [first, second] = [await scrape(metrics), (metrics.count(ended('j')), await scrape(metrics))];
  for (const { name, type, samples } of first.values()) {
    if (type !== 'counter') continue;
    samples.forEach((sample, index) =>
      expect(second.get(name)?.samples[index]?.value, name).toBeGreaterThanOrEqual(sample.value),
    );
  }
  expect(first.get('process_cpu_seconds_total')?.type).toBe('counter');
  expect(second.get('dkron_job_executions_failed_total')?.samples).toMatchObject([{ value: 2 }]);
});

const GAUGE = '# HELP a An a\n# TYPE a gauge\n';
const SECONDS = '# HELP h An h\n# TYPE h histogram\n';

test.each([
  ['a sample before its type', 'a 1\n', /not of the family/],
  ['a type without help', '# TYPE a gauge\na 1\n', /no help/],
  ['a family twice', `${GAUGE}a 1\n${GAUGE}`, /second family/],
  ['a series twice', `${GAUGE}a{x="1",y="2"} 1\na{y="2",x="1"} 1\n`, /twice/],
  ['a total that is no counter', '# HELP a_total An a\n# TYPE a_total gauge\na_total 1\n', /is a gauge/],
  ['a counter that is no total', '# HELP a An a\n# TYPE a counter\na 1\n', /is a counter/],
  ['no number', `${GAUGE}a one\n`, /no number/],
  ['an open quote', `${GAUGE}a{x="1} 1\n`, /bad labels/],
  ['a bare backslash', `${GAUGE}a{x="\\y"} 1\n`, /bad labels/],
  ['another family’s sample', `${GAUGE}b 1\n`, /not of the family/],
  ['no last line end', `${GAUGE}a 1`, /no end/],
  ['no +Inf', `${SECONDS}h_bucket{le="1"} 1\nh_sum 1\nh_count 1\n`, /no \+Inf/],
  ['buckets that fall', `${SECONDS}h_bucket{le="1"} 2\nh_bucket{le="+Inf"} 1\nh_sum 1\nh_count 1\n`, /does not add up/],
  ['a count that is not +Inf', `${SECONDS}h_bucket{le="+Inf"} 1\nh_sum 1\nh_count 2\n`, /no \+Inf/],
])('the reader of these tests refuses %s', (_what, text, words) => {
  expect(() => readExposition(text)).toThrow(words);
});
