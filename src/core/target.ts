/**
 * Which nodes a job's tags ask for (dkron.md §5, SEMANTICS §5): every tag must match. A value is `text` or `text:count`; `!text` is any node
 * whose tag is not that, `a|b` either of them; the key `node` stands for the node's name.
 */

export interface TargetNode {
  readonly name: string;
  readonly tags: Readonly<Record<string, string>>;
}

export function matchesTags(wanted: Readonly<Record<string, string>>, node: TargetNode): boolean {
  for (const key in wanted) if (!matchesTag(key, wanted[key] as string, node)) return false;
  return true;
}

function matchesTag(key: string, value: string, { name, tags }: TargetNode): boolean {
  const { text, count } = splitCount(value);
  if (count <= 0) return false;
  const negated = text.startsWith('!');
  const own = key === 'node' ? name : Object.hasOwn(tags, key) ? tags[key] : undefined;
  const isOneOf =
    own !== undefined &&
    text
      .slice(negated ? 1 : 0)
      .split('|')
      .includes(own);
  return isOneOf !== negated;
}

/** As Dkron: only two parts are a value and a count, of three and more the first is the value, and a count that is no integer is none at all. */
function splitCount(value: string): { text: string; count: number } {
  const [text = '', count, ...more] = value.split(':');
  if (count === undefined || more.length > 0) return { text, count: Infinity };
  return { text, count: /^[+-]?\d+$/.test(count) ? Number(count) : 0 };
}
