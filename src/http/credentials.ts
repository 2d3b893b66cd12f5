/**
 * Credentials of the API: files of users and of bearer tokens. A user's password stands in the file hashed (`scrypt$ln$r$p$salt$hash`,
 * from hashPassword) or plain; a token stands there as it is, so both files should be readable by the node alone.
 */
import { createHash, createHmac, randomBytes, scrypt, timingSafeEqual } from 'node:crypto';

/** Limits of both files. */
const LINES_MAX = 10_000;
const TOKEN_CHARACTERS_MIN = 16;
/** Passwords checked at once wait for this many others at most; each costs ~100 ms of a core. */
const WAITING_MAX = 16;
/** Passwords known to be right, so that scrypt runs once per user and not per request. */
const REMEMBERED_MAX = 1_000;

export type Verdict = 'ok' | 'missing' | 'wrong' | 'busy';

export interface Credentials {
  /** Judges an Authorization header. */
  check(authorization: string | undefined): Promise<Verdict> | Verdict;
  /** What WWW-Authenticate says, one challenge each. */
  readonly challenges: readonly string[];
  /** Which kinds there are. */
  readonly asked: { readonly basic: boolean; readonly token: boolean };
}

export type ParsedCredentials =
  | { ok: true; credentials: Credentials; warnings: string[] }
  | { ok: false; file: 'basic' | 'tokens'; message: string };

/** The texts of --auth-basic-file and --auth-token-file; at least one is given. Errors name the line, never its content. */
export function parseCredentials(files: { basic?: string; tokens?: string }): ParsedCredentials {
  const warnings: string[] = [];
  const users = new Map<string, Secret>();
  for (const { line, number } of linesOf(files.basic)) {
    const colon = line.indexOf(':');
    if (colon <= 0 || colon === line.length - 1)
      return { ok: false, file: 'basic', message: `line ${number} is not user:password` };
    const name = line.slice(0, colon);
    if (users.has(name)) return { ok: false, file: 'basic', message: `line ${number} names a user again` };
    const secret = readSecret(line.slice(colon + 1));
    if (secret === undefined)
      return { ok: false, file: 'basic', message: `line ${number} holds a scrypt hash that is not one` };
    if (secret.kind === 'plain') warnings.push(`line ${number} of the basic file holds a plain password`);
    users.set(name, secret);
  }
  const tokens: Buffer[] = [];
  for (const { line, number } of linesOf(files.tokens)) {
    if (line.length < TOKEN_CHARACTERS_MIN || !/^[\x21-\x7e]+$/.test(line)) {
      return {
        ok: false,
        file: 'tokens',
        message: `line ${number} is not a token of at least ${TOKEN_CHARACTERS_MIN} visible ASCII characters`,
      };
    }
    tokens.push(digest(line));
  }
  const larger = users.size > tokens.length || files.tokens === undefined ? 'basic' : 'tokens';
  if (users.size + tokens.length === 0) return { ok: false, file: larger, message: 'holds no user and no token' };
  if (users.size + tokens.length > LINES_MAX)
    return { ok: false, file: larger, message: `more than ${LINES_MAX} users and tokens` };
  return { ok: true, credentials: new FileCredentials(users, tokens), warnings };
}

/** The line's second half for --auth-basic-file. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16);
  const hash = await derive(password, { logN: 15, r: 8, p: 1, salt, hash: Buffer.alloc(32) });
  return `scrypt$15$8$1$${salt.toString('base64url')}$${hash.toString('base64url')}`;
}

function linesOf(text: string | undefined): { line: string; number: number }[] {
  return (text ?? '')
    .split(/\r?\n/)
    .map((line, index) => ({ line: line.trim(), number: index + 1 }))
    .filter(({ line }) => line !== '' && !line.startsWith('#'));
}

interface Hashed {
  logN: number;
  r: number;
  p: number;
  salt: Buffer;
  hash: Buffer;
}

type Secret = { kind: 'plain'; digest: Buffer } | ({ kind: 'scrypt' } & Hashed);

function readSecret(text: string): Secret | undefined {
  if (!text.startsWith('scrypt$')) return { kind: 'plain', digest: digest(text) };
  const match = /^scrypt\$(\d{1,2})\$(\d{1,2})\$(\d{1,2})\$([A-Za-z0-9_-]+)\$([A-Za-z0-9_-]+)$/.exec(text);
  if (match === null) return undefined;
  const [logN, r, p] = [Number(match[1]), Number(match[2]), Number(match[3])];
  const [salt, hash] = [Buffer.from(match[4] ?? '', 'base64url'), Buffer.from(match[5] ?? '', 'base64url')];
  const sane =
    logN >= 10 && logN <= 20 && r >= 1 && r <= 32 && p >= 1 && p <= 16 && salt.length >= 8 && hash.length >= 16;
  return sane ? { kind: 'scrypt', logN, r, p, salt, hash } : undefined;
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

function derive(password: string, { logN, r, p, salt, hash }: Hashed): Promise<Buffer> {
  const options = { N: 2 ** logN, r, p, maxmem: 256 * 2 ** logN * r + 32 * 1024 * 1024 };
  return new Promise((resolve, reject) => {
    scrypt(password, salt, hash.length, options, (error, key) => (error === null ? resolve(key) : reject(error)));
  });
}

class FileCredentials implements Credentials {
  readonly challenges: readonly string[];
  readonly asked: { readonly basic: boolean; readonly token: boolean };
  readonly #users: ReadonlyMap<string, Secret>;
  readonly #tokens: readonly Buffer[];
  /** Digests, keyed with a secret of this process, of headers already found right. */
  readonly #remembered = new Set<string>();
  readonly #key = randomBytes(32);
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  constructor(users: ReadonlyMap<string, Secret>, tokens: readonly Buffer[]) {
    this.#users = users;
    this.#tokens = tokens;
    this.asked = { basic: users.size > 0, token: tokens.length > 0 };
    this.challenges = [
      ...(this.asked.basic ? ['Basic realm="belfry", charset="UTF-8"'] : []),
      ...(this.asked.token ? ['Bearer realm="belfry"'] : []),
    ];
  }

  check(authorization: string | undefined): Promise<Verdict> | Verdict {
    if (authorization === undefined) return 'missing';
    const [scheme = '', value = ''] = authorization.split(/ +(.*)/s);
    if (scheme.toLowerCase() === 'bearer') return this.#isToken(value.trim()) ? 'ok' : 'wrong';
    if (scheme.toLowerCase() !== 'basic') return 'wrong';
    return this.#checkBasic(Buffer.from(value.trim(), 'base64').toString('utf8'));
  }

  /** Every token is compared, so that the time says nothing about which one was near. */
  #isToken(given: string): boolean {
    const hash = digest(given);
    let found = false;
    for (const token of this.#tokens) if (timingSafeEqual(token, hash)) found = true;
    return found;
  }

  #checkBasic(pair: string): Promise<Verdict> | Verdict {
    const remembered = createHmac('sha256', this.#key).update(pair).digest('base64');
    if (this.#remembered.has(remembered)) return 'ok';
    const colon = pair.indexOf(':');
    const secret = this.#users.get(pair.slice(0, Math.max(0, colon)));
    const password = pair.slice(colon + 1);
    if (secret?.kind === 'plain') return timingSafeEqual(secret.digest, digest(password)) ? 'ok' : 'wrong';
    if (this.#waiting >= WAITING_MAX) return 'busy';
    return this.#inTurn(async () => {
      // An unknown user costs as much as a wrong password.
      const known = secret ?? NOBODY;
      const right = timingSafeEqual(await derive(password, known), known.hash) && secret !== undefined;
      if (right) this.#remember(remembered);
      return right ? 'ok' : 'wrong';
    });
  }

  /** One password at a time: guessing must not take the machine. */
  async #inTurn(work: () => Promise<Verdict>): Promise<Verdict> {
    this.#waiting++;
    const turn = this.#last.then(work).finally(() => this.#waiting--);
    // Who asked is told by `turn`; the next in line only waits.
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  #remember(header: string): void {
    if (this.#remembered.size >= REMEMBERED_MAX) this.#remembered.clear();
    this.#remembered.add(header);
  }
}

const NOBODY: Hashed = { logN: 15, r: 8, p: 1, salt: Buffer.alloc(16, 7), hash: Buffer.alloc(32, 9) };
