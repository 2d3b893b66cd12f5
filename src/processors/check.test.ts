import { expect, it } from 'vitest';
import { checkProcessors } from './check.ts';

it.each<[Record<string, Record<string, string>>, string[]]>([
  [{}, []],
  [{ log: { forward: 'true' }, files: { log_dir: '/var/log/x' } }, []],
  [
    { slack: { channel: 'x' } },
    ['processors: processor "slack" is not in this version, so it gets no output; this version has log and files'],
  ],
  [{ files: { logdir: '/x' } }, ['processors.files: "logdir" is no key of it and does nothing: did you mean log_dir?']],
  [
    { log: { forward: 'yes' } },
    ['processors.log: forward "yes" is no boolean: false is used; write "true" or "false"'],
  ],
])('%j', (processors, warnings) => expect(checkProcessors(processors)).toEqual(warnings));
