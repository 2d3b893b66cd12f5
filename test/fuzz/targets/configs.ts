// Flags, environment and file: a configuration, or problems that each say what is wrong and what to do; never an exception.
import { parse as parseYaml } from 'yaml';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readConfigFile } from '../../../src/cli/config-file.ts';
import { parseFlags } from '../../../src/cli/flags.ts';
import { parseAddress } from '../../../src/model/address.ts';
import { parseBytes } from '../../../src/model/bytes.ts';
import { OPTION_LIST } from '../../../src/model/config.ts';
import { parseDuration } from '../../../src/model/duration.ts';
import { envName } from '../../../src/model/option.ts';
import { type ConfigSources, parseConfig } from '../../../src/model/parse-config.ts';
import type { Dice } from '../dice.ts';
import { must, type Target, withInput, withInputAsync } from '../target.ts';

const FILE = `
http-addr: 127.0.0.1:18080
data-dir: /var/lib/belfry
node-name: one
tags: {pool: web, site: madrid}
log-level: debug
misfire-grace: 5m
max-runs: 100
drain: true
disk-reserve: 64MiB
job-env: [HTTP_PROXY, NO_PROXY]
server: true
bootstrap-expect: 1
`;

const sources: Target = {
  name: 'configuration sources',
  weight: 8,
  limitMs: 250,
  run(dice) {
    const argv = Array.from({ length: dice.size(6) }, () => dice.mangle(flag(dice)));
    const env = Object.fromEntries(
      Array.from({ length: dice.size(5) }, () => [dice.mangle(envName(option(dice))), dice.mangle(value(dice))]),
    );
    const data = dice.chance(0.3) ? dice.json() : dice.mangleJson(parseYaml(FILE));
    withInput({ argv, env, data }, () => {
      const { flags } = parseFlags(argv);
      const given: ConfigSources = {
        flags,
        env,
        file: dice.chance(0.6) ? { path: '/belfry.yml', data } : null,
        nodeName: 'host',
      };
      const parsed = parseConfig(given);
      if (parsed.ok)
        return must(
          parsed.notices.every((notice) => notice !== ''),
          'notices are sentences',
          parsed.notices,
        );
      must(parsed.problems.length > 0, 'at least one problem');
      for (const problem of parsed.problems) {
        must(problem.message !== '' && problem.remedy !== '', 'what is wrong and what to do', problem);
      }
    });
  },
};

function option(dice: Dice): string {
  return dice.pick(OPTION_LIST)[1].name;
}

function value(dice: Dice): string {
  return dice.pick([
    '127.0.0.1:18080',
    ':8080',
    '[::1]:1',
    '5m',
    '1h30m',
    '64MiB',
    '1e3',
    'true',
    'info',
    'a=b,c=d',
    'A,B',
    '/var/lib',
    'Europe/Madrid',
    '100',
    '-1',
    '',
  ]);
}

function flag(dice: Dice): string {
  return dice.chance(0.2) ? value(dice) : `--${option(dice)}${dice.chance(0.7) ? `=${value(dice)}` : ''}`;
}

const directory = mkdtempSync(join(tmpdir(), 'belfry-fuzz-config-'));
const BOMB =
  'a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d,*d,*d]\n';

const files: Target = {
  name: 'configuration file',
  weight: 3,
  limitMs: 1_000,
  async run(dice) {
    const path = join(directory, dice.pick(['belfry.yml', 'belfry.json']));
    const text = dice.chance(0.1)
      ? dice.bytes(500)
      : Buffer.from(
          dice.mangle(path.endsWith('.json') ? JSON.stringify(parseYaml(FILE)) : dice.chance(0.1) ? BOMB : FILE),
        );
    writeFileSync(path, text);
    await withInputAsync(text.toString('latin1'), async () => {
      const file = await readConfigFile(path);
      if (file.kind === 'failed')
        return must(
          file.problem.message !== '' && !file.problem.message.includes('\n') && file.problem.remedy !== '',
          'one line and a remedy',
          file.problem,
        );
      if (file.kind === 'read') parseConfig({ flags: [], env: {}, file, nodeName: 'host' });
    });
  },
  close: () => rmSync(directory, { recursive: true, force: true }),
};

const units: Target = {
  name: 'durations, sizes and addresses',
  weight: 6,
  limitMs: 250,
  run(dice) {
    const text = dice.mangle(value(dice));
    withInput(text, () => {
      const duration = parseDuration(text);
      must(duration === undefined || Number.isFinite(duration), 'a duration is a number', duration);
      const bytes = parseBytes(text);
      must(bytes === undefined || (Number.isSafeInteger(bytes) && bytes >= 0), 'a size is a whole number', bytes);
      const address = parseAddress(text);
      must(
        address === undefined || (Number.isInteger(address.port) && address.port >= 0 && address.port < 65_536),
        'a port is a port',
        address,
      );
    });
  },
};

export const configTargets = [sources, files, units];
