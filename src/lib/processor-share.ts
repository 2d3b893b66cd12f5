/**
 * Linux divides the processors among sessions before it divides them among processes (autogroup, sched(7)). Every run is a session of its own, so a
 * hundred running jobs would leave each of node and runner a hundredth: starts would be late and the API slow just when there is much to do.
 */
import { readFileSync, writeFileSync } from 'node:fs';

/** Some nine times the share of a session at 0. */
export const SHARE_NICE = -10;

/**
 * Gives the session of this process a larger share; what it starts in sessions of their own keeps the usual one. False: not permitted (it takes
 * root, CAP_SYS_NICE or LimitNICE=), a kernel without autogroups, or a terminal's session, which is not ours to favour.
 */
export function enlargeShare(): boolean {
  try {
    const [, , , , terminal] = (readFileSync('/proc/self/stat', 'latin1').split(') ').at(-1) as string).split(' ');
    if (terminal !== '0') return false;
    writeFileSync('/proc/self/autogroup', String(SHARE_NICE));
    return true;
  } catch {
    return false; // said above
  }
}
