/** What posix_spawn is told besides program, arguments and environment: attributes, and which files the child opens. */
import { closeSync, constants, openSync } from 'node:fs';
import type { Libc } from './libc.ts';
import { ArgumentWriter, type Prepared } from './spawn-arguments.ts';
import {
  ACTIONS,
  ACTIONS_BYTES,
  ACTIONS_KEPT,
  ARENA_BYTES,
  ATTRIBUTES,
  FILE_ACTIONS,
  PATH_BYTES,
  PID,
  SIGNAL_SET,
  STATUS,
  STRINGS,
} from './spawn-memory.ts';
import type { SpawnRequest } from './spawner.ts';

const SETSIGDEF = 0x04;
const SETSIGMASK = 0x08;
const SETSID = 0x80;
const OUTPUT_FLAGS = constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND;
const OUTPUT_MODE = 0o640;

/** The address of an offset. */
export function at(libc: Libc, offset: number): bigint {
  return libc.arena.base + BigInt(offset);
}

/** Own session (which is also the process group), every signal at its default and none blocked. */
export function prepareAttributes(libc: Libc): void {
  const { call, arena } = libc;
  const attributes = at(libc, ATTRIBUTES);
  const set = at(libc, SIGNAL_SET);
  call.posix_spawnattr_init(attributes);
  call.posix_spawnattr_setflags(attributes, SETSID | SETSIGDEF | SETSIGMASK);
  arena.bytes.fill(0, SIGNAL_SET, SIGNAL_SET + 128);
  call.posix_spawnattr_setsigmask(attributes, set);
  arena.bytes.fill(0xff, SIGNAL_SET, SIGNAL_SET + 128);
  call.posix_spawnattr_setsigdefault(attributes, set);
}

/**
 * File actions are six calls to lay out, and runs that use the same spare files again have the same ones: the last used are kept. What is
 * under way is among the last used, so it is never the one that goes.
 */
export class KeptActions {
  readonly #libc: Libc;
  readonly #stdin: number;
  readonly #places = new Map<string, number>();

  constructor(libc: Libc, stdin: number) {
    this.#libc = libc;
    this.#stdin = stdin;
  }

  /** Offset of the actions for a start without payload and directory whose files are worth remembering; null: it needs its own. */
  find(request: SpawnRequest): number | null {
    if (request.stdin !== null || request.cwd !== null || !request.filesRecur) return null;
    const files = `${request.outPath}\0${request.errPath}`;
    const kept = this.#places.get(files);
    if (kept !== undefined) this.#places.delete(files);
    const place = kept ?? this.#lay(request);
    if (place !== null) this.#places.set(files, place);
    return place;
  }

  #lay({ outPath, errPath }: SpawnRequest): number | null {
    if (Buffer.byteLength(outPath) >= PATH_BYTES || Buffer.byteLength(errPath) >= PATH_BYTES) return null;
    let place = ACTIONS + this.#places.size * ACTIONS_BYTES;
    if (this.#places.size === ACTIONS_KEPT) {
      const [oldest, oldestPlace] = this.#places.entries().next().value as [string, number];
      this.#places.delete(oldest);
      place = oldestPlace;
      this.#libc.call.posix_spawn_file_actions_destroy(at(this.#libc, place));
    }
    const { bytes } = this.#libc.arena;
    const [out, err] = [place + 96, place + 96 + PATH_BYTES];
    // The library copies the paths.
    bytes[out + bytes.write(outPath, out)] = 0;
    bytes[err + bytes.write(errPath, err)] = 0;
    writeActions(this.#libc, place, { out, err, cwd: 0 }, this.#stdin);
    return place;
  }
}

/** `stdin`: a descriptor of the thread that starts, or the address of a path. */
export function writeActions(
  libc: Libc,
  offset: number,
  prepared: Pick<Prepared, 'out' | 'err' | 'cwd'>,
  stdin: number | bigint,
): void {
  const { call } = libc;
  const actions = at(libc, offset);
  call.posix_spawn_file_actions_init(actions);
  if (typeof stdin === 'number') call.posix_spawn_file_actions_adddup2(actions, stdin, 0);
  else call.posix_spawn_file_actions_addopen(actions, 0, stdin, constants.O_RDONLY, 0);
  call.posix_spawn_file_actions_addopen(actions, 1, at(libc, prepared.out), OUTPUT_FLAGS, OUTPUT_MODE);
  call.posix_spawn_file_actions_addopen(actions, 2, at(libc, prepared.err), OUTPUT_FLAGS, OUTPUT_MODE);
  if (prepared.cwd !== 0) call.posix_spawn_file_actions_addchdir_np(actions, at(libc, prepared.cwd));
  call.posix_spawn_file_actions_addclosefrom_np(actions, 3);
}

/** Starts a trivial program and waits for its end: proves that structures and calls fit this libc before a job depends on them. */
export function selfTest(libc: Libc): boolean {
  const request = {
    program: '/bin/true',
    words: ['true'],
    environment: {},
    cwd: '/',
    stdin: null,
    stdinPath: '',
    outPath: '/dev/null',
    errPath: '/dev/null',
    filesRecur: false,
    ownGroup: false,
    memLimitBytes: null,
  };
  const prepared = new ArgumentWriter(libc.arena).write(request, STRINGS, ARENA_BYTES);
  if (typeof prepared === 'string') return false;
  const { call, arena } = libc;
  prepareAttributes(libc);
  const stdin = openSync('/dev/null', 'r');
  writeActions(libc, FILE_ACTIONS, prepared, stdin);
  const [program, argv, envp] = [at(libc, prepared.program), at(libc, prepared.argv), at(libc, prepared.envp)];
  const errno = call.posix_spawn(at(libc, PID), program, at(libc, FILE_ACTIONS), at(libc, ATTRIBUTES), argv, envp);
  call.posix_spawn_file_actions_destroy(at(libc, FILE_ACTIONS));
  closeSync(stdin);
  if (errno !== 0) return false;
  const pid = arena.view.getInt32(PID, true);
  return call.waitpid(pid, at(libc, STATUS), 0) === pid && arena.view.getInt32(STATUS, true) === 0;
}
