import { describe, expect, it } from 'vitest';
import { checkExecutor } from './check.ts';

const FATAL = 'every run will fail: ';
const http = { url: 'http://host/x', method: 'GET' };

describe('checkExecutor', () => {
  it.each<[string, Record<string, string>]>([
    ['shell', { command: 'true', cwd: '/not/on/this/node', su: 'nobody-here' }],
    ['http', { ...http, tlsRootCAsFile: '/not/on/this/node', expectBody: 'ok', timeout: '10' }],
  ])('has nothing to say of %s %j', async (executor, config) => expect(await checkExecutor(executor, config)).toEqual([])); // prettier-ignore

  it.each<[string, Record<string, string>, string[]]>([
    ['', {}, [`${FATAL}executor is empty: give one of shell, http`]],
    ['shel', {}, [`${FATAL}executor "shel" is not in this version: did you mean shell?`]],
    ['kafka', {}, [`${FATAL}executor "kafka" is not in this version: give one of shell, http`]],
    [
      'shell',
      { comand: 'true' },
      [
        'executor_config: "comand" is no key of it and does nothing: did you mean command?',
        `executor_config: ${FATAL}command missing: say in the key command what is to run`,
      ],
    ],
    ['shell', { command: 'true', cmd: 'x' }, ['executor_config: "cmd" is no key of it and does nothing: did you mean command?']],
    ['shell', { command: 'true', success_count: '0,1' }, ['executor_config: "success_count" is no key of it and does nothing: did you mean success_codes?']],
    ['http', { ...http, payload: 'x' }, ['executor_config: "payload" is no key of it and does nothing: did you mean body?']],
    ['http', { ...http, method: 'get' }, ['executor_config: method "get" is sent as it is written, and servers expect "GET"']],
    ['http', { ...http, expectcode: '2xx' }, ['executor_config: "expectcode" is no key of it and does nothing: did you mean expectCode?']],
    ['http', { ...http, headers: '{' }, [`executor_config: ${FATAL}headers is not JSON: write it as ["Name: value", "Other: value"]`]],
    [
      'http',
      { ...http, expectBody: '(' },
      [`executor_config: ${FATAL}expectBody is no valid pattern (RE2 syntax): error parsing regexp: missing closing ): \`(\``],
    ],
    [
      'http',
      { ...http, timeout: '-5s' },
      ['executor_config: timeout "-5s" cannot be used, so it is 30 seconds: write whole seconds ("30") or a duration ("1m30s")'],
    ],
  ])('%s %j', async (executor, config, warnings) => expect(await checkExecutor(executor, config)).toEqual(warnings)); // prettier-ignore

  it('bounds what it says of many strange keys', async () => {
    const config = Object.fromEntries(Array.from({ length: 900 }, (_, i) => [`${i}`.padStart(500, 'k'), '']));
    const said = await checkExecutor('shell', { command: 'true', ...config });
    expect(said.join('').length).toBeLessThan(2_500);
  });
});
