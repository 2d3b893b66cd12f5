/**
 * A strict reader of the Prometheus text format 0.0.4, stricter than Prometheus itself: it throws on whatever a scraper might take in another
 * way than it was meant. Rules: https://prometheus.io/docs/instrumenting/exposition_formats/ and …/practices/naming/.
 */

export interface Family {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly samples: {
    readonly name: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly value: number;
  }[];
}

const SUFFIXES = ['', '_bucket', '_sum', '_count'];

/** All families in order. Throws an Error that quotes the line at fault. */
export function readExposition(text: string): Map<string, Family> {
  const families = new Map<string, Family>();
  const series = new Set<string>();
  if (!text.endsWith('\n')) throw new Error('the last line has no end');
  let help: [name: string, text: string] | undefined;
  let current: Family | undefined;
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const about = /^# (HELP|TYPE) ([a-zA-Z_:][\w:]*) (.+)$/.exec(line);
    if (about?.[1] === 'HELP') {
      help = [about[2] ?? '', about[3] ?? ''];
    } else if (about !== null) {
      current = familyOf(about[2] ?? '', about[3] ?? '', help);
      if (families.has(current.name)) throw new Error(`a second family: ${line}`);
      families.set(current.name, current);
    } else {
      addSample(line, current, series);
    }
  }
  for (const family of families.values()) checkFamily(family);
  return families;
}

function familyOf(name: string, type: string, help: [string, string] | undefined): Family {
  if (help?.[0] !== name) throw new Error(`no help in front of the type of ${name}`);
  if (!['counter', 'gauge', 'histogram', 'summary'].includes(type)) throw new Error(`${name} has the type ${type}`);
  return { name, type, help: help[1], samples: [] };
}

function addSample(line: string, family: Family | undefined, series: Set<string>): void {
  const match = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line);
  if (match === null) throw new Error(`no sample: ${line}`);
  const [, name = '', inside = '', text = ''] = match;
  const suffix = family === undefined ? undefined : SUFFIXES.find((end) => name === family.name + end);
  if (family === undefined || suffix === undefined || (suffix !== '') !== (family.type === 'histogram'))
    throw new Error(`not of the family above it: ${line}`);
  if (!/^(?:[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?|[-+]Inf|NaN)$/i.test(text)) throw new Error(`no number: ${line}`);
  const labels = readLabels(inside, line);
  const key = `${name} ${JSON.stringify(
    Object.keys(labels)
      .sort()
      .map((label) => [label, labels[label]]),
  )}`;
  if (series.has(key)) throw new Error(`the same series twice: ${line}`);
  series.add(key);
  family.samples.push({ name, labels, value: Number(text.replace('Inf', 'Infinity')) });
}

function readLabels(inside: string, line: string): Record<string, string> {
  const labels: Record<string, string> = {};
  const label = /([a-zA-Z_]\w*)="((?:[^"\\\n]|\\[\\"n])*)"(,|$)/y;
  while (label.lastIndex < inside.length) {
    const match = label.exec(inside);
    if (match === null) throw new Error(`bad labels: ${line}`);
    const [, name = '', value = ''] = match;
    if (name in labels || name.startsWith('__')) throw new Error(`a label that may not be: ${line}`);
    labels[name] = value.replaceAll(/\\(.)/g, (_whole, one: string) => (one === 'n' ? '\n' : one));
  }
  return labels;
}

function checkFamily({ name, type, samples }: Family): void {
  if ((type === 'counter') !== name.endsWith('_total')) throw new Error(`${name} is a ${type}`);
  if (type === 'counter' && samples.some(({ value }) => !(value >= 0))) throw new Error(`${name} is below zero`);
  if (type === 'histogram') checkHistogram(name, samples);
}

function checkHistogram(name: string, samples: Family['samples']): void {
  const of = (end: string) => samples.filter((sample) => sample.name === name + end);
  const buckets = of('_bucket').map(({ labels, value }) => ({
    upTo: Number(labels['le']?.replace('Inf', 'Infinity')),
    value,
  }));
  buckets.forEach(({ upTo, value }, index) => {
    const before = buckets[index - 1];
    if (before !== undefined && !(upTo > before.upTo && value >= before.value))
      throw new Error(`${name} does not add up at ${upTo}`);
  });
  const last = buckets.at(-1);
  if (last?.upTo !== Infinity || last.value !== of('_count')[0]?.value || of('_sum').length !== 1)
    throw new Error(`${name} has no +Inf that is its count, or no sum`);
}
