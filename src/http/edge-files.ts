/**
 * The files behind the API's options: credentials, certificate and key. Read before anything starts, so that a bad one is met with its
 * option, its path and a remedy; `belfry config check` reads them the same way.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import type { Config } from '../model/config.ts';
import type { FileProblem } from '../model/parse-config.ts';
import { type Credentials, parseCredentials } from './credentials.ts';

export interface EdgeFiles {
  /** null: none are asked for. */
  readonly credentials: Credentials | null;
  readonly tls: { readonly cert: Buffer; readonly key: Buffer } | null;
  readonly warnings: readonly string[];
}

type ReadEdgeFiles =
  | { readonly ok: true; readonly files: EdgeFiles }
  | { readonly ok: false; readonly problems: readonly FileProblem[] };

type NamedFile = Pick<Config, 'authBasicFile' | 'authTokenFile' | 'tlsCert' | 'tlsKey'>;

export function readEdgeFiles(config: NamedFile): ReadEdgeFiles {
  const problems: FileProblem[] = [];
  const read = (field: keyof NamedFile): Buffer | null => readOption(config, field, problems);
  const [basic, tokens, cert, key] = [read('authBasicFile'), read('authTokenFile'), read('tlsCert'), read('tlsKey')];
  const tls = cert === null || key === null ? null : { cert, key };
  if (tls !== null) problems.push(...tlsProblems(config, tls));
  const { credentials, warnings } = credentialsOf(config, basic, tokens, problems);
  return problems.length === 0 ? { ok: true, files: { credentials, tls, warnings } } : { ok: false, problems };
}

/** What is wrong with the files, for the CLI. */
export function edgeFileProblems(config: NamedFile): readonly FileProblem[] {
  const read = readEdgeFiles(config);
  return read.ok ? [] : read.problems;
}

function readOption(config: NamedFile, field: keyof NamedFile, problems: FileProblem[]): Buffer | null {
  const path = config[field];
  if (path === null) return null;
  try {
    return readFileSync(path);
  } catch (error) {
    const message = `cannot read ${path} (${(error as NodeJS.ErrnoException).code ?? 'unknown error'})`;
    problems.push({ field, message, remedy: 'Name a file this user can read.' });
    return null;
  }
}

const CREDENTIAL_REMEDY = {
  authBasicFile: 'Write one user:password a line; empty lines and lines with # in front are skipped.',
  authTokenFile:
    'Write one token a line, at least 16 visible ASCII characters; empty lines and lines with # in front are skipped.',
} as const;

function credentialsOf(
  config: NamedFile,
  basic: Buffer | null,
  tokens: Buffer | null,
  problems: FileProblem[],
): Pick<EdgeFiles, 'credentials' | 'warnings'> {
  const none = { credentials: null, warnings: [] };
  if (basic === null && tokens === null) return none;
  const parsed = parseCredentials({
    ...(basic === null ? {} : { basic: basic.toString('utf8') }),
    ...(tokens === null ? {} : { tokens: tokens.toString('utf8') }),
  });
  if (parsed.ok) return parsed;
  const field = parsed.file === 'basic' ? 'authBasicFile' : 'authTokenFile';
  problems.push({ field, message: `${config[field]}: ${parsed.message}`, remedy: CREDENTIAL_REMEDY[field] });
  return none;
}

/** Each by itself as the server would take it, then both together. */
function tlsProblems(config: NamedFile, { cert, key }: { cert: Buffer; key: Buffer }): FileProblem[] {
  const problems: FileProblem[] = [];
  const badCert = failureOf(() => createSecureContext({ cert }));
  if (badCert !== undefined) {
    const message = `${config.tlsCert} holds no usable PEM certificate (${badCert})`;
    const remedy = 'Name the file with the certificate chain: it has a line -----BEGIN CERTIFICATE-----.';
    problems.push({ field: 'tlsCert', message, remedy });
  }
  const badKey = failureOf(() => createSecureContext({ key }));
  if (badKey !== undefined) {
    const message = `${config.tlsKey} holds no usable PEM private key (${badKey})`;
    const remedy =
      'Name the file with the private key, without a passphrase: it has a line -----BEGIN PRIVATE KEY-----.';
    problems.push({ field: 'tlsKey', message, remedy });
  }
  return problems.length === 0 ? pairProblems(config, cert, key) : problems;
}

/** OpenSSL takes an RSA key beside an EC certificate and fails at each handshake: so they are compared here. */
function pairProblems({ tlsCert, tlsKey }: NamedFile, cert: Buffer, key: Buffer): FileProblem[] {
  const remedy =
    'Name the key the certificate was made for; the first certificate of the chain must be the node’s own.';
  if (new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))) return [];
  return [{ field: 'tlsKey', message: `${tlsKey} is not the key of the certificate in ${tlsCert}`, remedy }];
}

/** OpenSSL's short reason. */
function failureOf(act: () => unknown): string | undefined {
  try {
    act();
    return undefined;
  } catch (error) {
    const { reason, message } = error as { reason?: string; message: string };
    return reason ?? message;
  }
}
