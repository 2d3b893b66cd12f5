import { describe, expect, it } from 'vitest';
import { parseShellConfig } from './shell-config.ts';

function config(raw: Record<string, string>) {
  const parsed = parseShellConfig(raw);
  if (!parsed.ok) throw new Error(parsed.problem);
  return parsed.config;
}

describe('parseShellConfig', () => {
  it('reads every key', () => {
    expect(
      config({
        command: 'echo "a b"', cwd: '/tmp', su: 'me:us', timeout: '1m30s', mem_limit: '512 MB', success_codes: '0, 2',
        payload: 'aG\nk=\n', env: 'A=1,B=2,3',
      }),
    ).toEqual({
      words: ['echo', 'a b'], cwd: '/tmp', su: 'me:us', timeoutMs: 90_000, memLimitBytes: 512_000_000, successCodes: [0, 2],
      payload: 'aGk=', warnings: [],
    }); // prettier-ignore
  });

  it('takes empty values, and a timeout of zero, for none', () => {
    const empty = { cwd: '', su: '', timeout: '0', mem_limit: '', success_codes: '', payload: '', env: '', shell: '' };
    expect(config({ command: 'true', ...empty })).toEqual(config({ command: 'true' }));
  });

  it('leaves the command to a shell when asked', () =>
    expect(config({ command: 'cd / && ls > x', shell: 'true' })).toMatchObject({
      words: ['/bin/sh', '-c', 'cd / && ls > x'],
      warnings: [],
    }));

  it.each<[Record<string, string>, string]>([
    [{}, 'command missing: say in the key command what is to run'],
    [{ command: ' ' }, 'command missing: say in the key command what is to run'],
    [{ command: '&& b' }, 'command missing: it begins with nothing that can be run without shell "true"'],
    [{ command: 'a\0b' }, 'command contains a NUL byte'],
    [{ command: 'echo "open' }, 'command has an unclosed quote or backslash at character 6'],
    [{ timeout: '10' }, 'timeout "10" is not a duration: write it as 30s or 1h30m'],
    [{ timeout: '-5s' }, 'timeout "-5s" is not a duration: write it as 30s or 1h30m'],
    [{ timeout: '9'.repeat(90) }, `timeout "${'9'.repeat(40)}..." is not a duration: write it as 30s or 1h30m`],
    [{ mem_limit: '0' }, 'mem_limit "0" is not a size: write it as bytes or 512MiB'],
    [{ mem_limit: '5 byte' }, 'mem_limit "5 byte" is not a size: write it as bytes or 512MiB'],
    [{ success_codes: '0;2' }, 'success_codes "0;2" is not a list of exit codes (0 to 255): write it as 0,2'],
    [{ success_codes: '256' }, 'success_codes "256" is not a list of exit codes (0 to 255): write it as 0,2'],
    [{ payload: '%%' }, 'payload is not base64: give what "base64 -w0 FILE" prints'],
    [{ payload: 'hello world' }, 'payload is not base64: give what "base64 -w0 FILE" prints'],
    [{ payload: 'helloworld' }, 'payload is not base64: give what "base64 -w0 FILE" prints'],
    [{ su: 'a:b:c' }, 'su "a:b:c" is not user or user:group'],
    [{ cwd: '/a\0b' }, 'cwd contains a NUL byte'],
  ])('%j: %s', (raw, problem) => expect(parseShellConfig({ command: 'true', ...onlyIf(raw) })).toEqual({ ok: false, problem })); // prettier-ignore

  it.each<[Record<string, string>, string]>([
    [
      { command: 'pg_dump db | gzip > x' },
      'command is cut at the "|" at character 12: only what stands before it runs; set shell to "true", or quote it',
    ],
    [{ command: 'cd /srv' }, 'command begins with "cd", which only a shell knows: set shell to "true"'],
    [{ command: 'A=1 run' }, 'command begins with "A=1", which only a shell knows: set shell to "true"'],
    [{ command: 'exit 3' }, 'command begins with "exit", which only a shell knows: set shell to "true"'],
    [
      { command: 'export A=1; echo $A' },
      'command is cut at the ";" at character 11: only what stands before it runs; set shell to "true", or quote it',
    ],
    [
      { command: `echo '$A' "to \${HOME}"` },
      'command has "${" in it, which is passed as it is written: set shell to "true" to have it replaced',
    ],
    [
      { command: 'curl http://h/$BELFRY_GROUP' },
      'command has "$BELFRY_GROUP" in it, which is passed as it is written: set shell to "true" to have it replaced',
    ],
    [{ cwd: '~/x' }, 'cwd begins with "~", which only a shell replaces: write the whole path'],
    [{ shell: 'yes' }, 'shell "yes" is no boolean: false is used; write "true"'],
    [
      { env: 'SECRET;B=2' },
      'env does not begin with NAME=: what stands before the first one is left out; write it as A=1,B=2',
    ],
  ])('%j is worth a word', (raw, warning) => expect(config({ command: 'true', ...raw }).warnings).toEqual([warning]));

  it.each([
    './cd',
    'execute',
    '/opt/if x',
    'awk "{ print $1 }"',
    "awk '{ print $NF }'",
    'echo \\$A "\\$A"',
    "sh -c 'a && b'",
  ])('%s is not', (command) => expect(config({ command }).warnings).toEqual([]));
});

/** An empty table entry means the command itself is missing. */
function onlyIf(raw: Record<string, string>): Record<string, string> {
  return Object.keys(raw).length === 0 ? { command: '' } : raw;
}
