/**
 * `su: user` or `user:group` of a shell job. The change of user is left to setpriv (util-linux), which drops supplementary groups as
 * Dkron did; only the local /etc/passwd and /etc/group are asked, because a directory service could block the runner.
 */
import { accessSync, constants, readFileSync } from 'node:fs';
import type { JobUser } from '../core/process-environment.ts';

/** The sentence is stored with every run. */
const NAME_SHOWN_MAX = 64;

export interface UserPlan {
  readonly user: JobUser;
  /** What goes before the job's own argv. */
  readonly prefix: readonly string[];
}

const SETPRIV_PATHS = ['/usr/bin/setpriv', '/bin/setpriv', '/usr/local/bin/setpriv'];

/** `text` is `user` or `user:group`. `problem`: the sentence the execution fails with. */
export function lookUpUser(text: string): UserPlan | { readonly problem: string } {
  const [name = '', groupName] = text.split(':', 2);
  if (process.getuid?.() !== 0) return { problem: 'su needs a node that runs as root' };
  const setpriv = SETPRIV_PATHS.find(isExecutable);
  if (setpriv === undefined) return { problem: 'su needs setpriv (package util-linux), which is not installed' };
  const entry = findEntry('/etc/passwd', name);
  if (entry === undefined) return { problem: `su: there is no user ${name.slice(0, NAME_SHOWN_MAX)} on this node` };
  const group = groupName === undefined ? entry[3] : findEntry('/etc/group', groupName)?.[2];
  if (group === undefined)
    return { problem: `su: there is no group ${groupName?.slice(0, NAME_SHOWN_MAX)} on this node` };
  return {
    user: { name: entry[0] as string, home: entry[5] || '/', shell: entry[6] || '/bin/sh' },
    prefix: [setpriv, `--reuid=${entry[2]}`, `--regid=${group}`, '--clear-groups', '--'],
  };
}

/** The fields of the line whose first field is `name`. */
function findEntry(path: string, name: string): readonly string[] | undefined {
  for (const line of readFileSync(path, 'utf8').split('\n')) {
    const fields = line.split(':');
    if (fields[0] === name) return fields;
  }
  return undefined;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false; // the next candidate
  }
}
