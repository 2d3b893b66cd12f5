/**
 * TLS settings of a job → a security context. The files are looked at before every request and read again when they changed, so that
 * a renewed certificate needs no restart; a file that cannot be used fails the run (Dkron went on without it).
 */
import { X509Certificate } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import tls from 'node:tls';
import type { HttpTlsFiles } from '../../core/http-config.ts';

export interface TlsOptions {
  readonly secureContext: tls.SecureContext;
  readonly verifyPeer: boolean;
}

export type LoadedTls =
  /** `key` differs when the settings or a file's content differ; `create` reads nothing and may throw only for what `problem` could not see. */
  | { readonly ok: true; readonly key: string; readonly options: () => TlsOptions }
  | { readonly ok: false; readonly problem: string };

/** No certificate file is longer; the whole bundle of a Linux distribution has a quarter of it. */
const FILE_BYTES_MAX = 1_048_576;
const CACHE_MAX = 300;

interface CachedFile {
  readonly stamp: string;
  readonly text: string;
}

const PLAIN = { verify: plain(true), noVerify: plain(false) };

export class TlsFiles {
  readonly #files = new Map<string, CachedFile>();

  /** Null when the settings name no file, which needs no waiting. */
  immediate(settings: HttpTlsFiles): LoadedTls | null {
    if (settings.certificateFile !== '' || settings.certificateKeyFile !== '' || settings.rootCAsFile !== '')
      return null;
    return settings.verifyPeer ? PLAIN.verify : PLAIN.noVerify;
  }

  async load(settings: HttpTlsFiles): Promise<LoadedTls> {
    const { certificateFile, certificateKeyFile, rootCAsFile } = settings;
    const cert = await this.#read('tlsCertificateFile', certificateFile);
    if ('problem' in cert) return failed(cert.problem);
    const key = await this.#read('tlsCertificateKeyFile', certificateKeyFile);
    if ('problem' in key) return failed(key.problem);
    const ca = await this.#read('tlsRootCAsFile', rootCAsFile);
    if ('problem' in ca) return failed(ca.problem);
    const stamps = [certificateFile, cert.stamp, certificateKeyFile, key.stamp, rootCAsFile, ca.stamp];
    return this.#built(JSON.stringify([settings.verifyPeer, ...stamps]), settings, cert.text, key.text, ca.text);
  }

  readonly #contexts = new Map<string, LoadedTls>();

  #built(key: string, settings: HttpTlsFiles, cert: string, certKey: string, ca: string): LoadedTls {
    const known = this.#contexts.get(key);
    if (known !== undefined) return known;
    const built = build(key, settings, cert, certKey, ca);
    remember(this.#contexts, key, built);
    return built;
  }

  async #read(name: string, path: string): Promise<CachedFile | { problem: string }> {
    if (path === '') return { stamp: '', text: '' };
    try {
      const { mtimeMs, size, ino } = await stat(path);
      const stamp = `${mtimeMs}:${size}:${ino}`;
      const cached = this.#files.get(path);
      if (cached?.stamp === stamp) return cached;
      if (size > FILE_BYTES_MAX) return { problem: `${name}: ${path} is longer than ${FILE_BYTES_MAX} bytes` };
      const file = { stamp, text: await readFile(path, 'utf8') };
      remember(this.#files, path, file);
      return file;
    } catch (error) {
      return { problem: `${name}: cannot read ${path} (${(error as NodeJS.ErrnoException).code ?? 'error'})` };
    }
  }
}

function build(key: string, settings: HttpTlsFiles, cert: string, certKey: string, ca: string): LoadedTls {
  const { certificateFile, certificateKeyFile, rootCAsFile, verifyPeer } = settings;
  const roots = ca === '' && rootCAsFile === '' ? undefined : certificatesOf(ca);
  if (roots?.length === 0) return failed(`tlsRootCAsFile: ${rootCAsFile} holds no usable PEM certificate`);
  try {
    if (cert !== '') tls.createSecureContext({ cert });
  } catch {
    return failed(`tlsCertificateFile: ${certificateFile} holds no usable PEM certificate`);
  }
  if (certificateFile !== '' && cert === '') return failed(`tlsCertificateFile: ${certificateFile} is empty`);
  try {
    const own = cert === '' ? {} : { cert, key: certKey };
    const secureContext = tls.createSecureContext({ ca: roots ?? systemRoots(), ...own });
    return { ok: true, key, options: () => ({ secureContext, verifyPeer }) };
  } catch {
    return failed(
      `tlsCertificateKeyFile: ${certificateKeyFile} holds no usable PEM key of the certificate in ${certificateFile}`,
    );
  }
}

/** The PEM certificates of a text; one that cannot be read makes it unusable, because OpenSSL would skip it without a word. */
function certificatesOf(text: string): string[] {
  const blocks =
    text.match(/-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[^-]*-----END (?:TRUSTED |X509 )?CERTIFICATE-----/g) ??
    [];
  return blocks.every(readable) ? blocks : [];
}

function readable(pem: string): boolean {
  try {
    return new X509Certificate(pem).subject !== undefined;
  } catch {
    return false;
  }
}

let roots: string[] | undefined;

/** The machine's root certificates, as in Go; those of Node where the machine has none. Read at the first need: it takes a while. */
function systemRoots(): string[] {
  roots ??= tls.getCACertificates('system');
  if (roots.length === 0) roots = tls.getCACertificates('bundled');
  return roots;
}

function plain(verifyPeer: boolean): LoadedTls {
  let options: TlsOptions | undefined;
  const create = (): TlsOptions => ({ secureContext: tls.createSecureContext({ ca: systemRoots() }), verifyPeer });
  return { ok: true, key: verifyPeer ? 'verify' : 'no-verify', options: () => (options ??= create()) };
}

function failed(problem: string): LoadedTls {
  return { ok: false, problem };
}

/** Keeps the newest CACHE_MAX entries. */
function remember<V>(cache: Map<string, V>, key: string, value: V): void {
  cache.delete(key);
  cache.set(key, value);
  const oldest = cache.keys().next();
  if (cache.size > CACHE_MAX && !oldest.done) cache.delete(oldest.value);
}
