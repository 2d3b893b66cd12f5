/** TLS keys of the http executor, against a real server with certificates made here by openssl. */
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TLSSocket } from 'node:tls';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { skipUnless } from '../../kit/skip.ts';
import { listen, newExecutor, run } from './kit.ts';

const openssl = spawnSync('openssl', ['version']).status === 0;

let dir = '';
const file = (name: string) => path.join(dir, name);

/** A key and a certificate for it, signed by `issuer` or by itself. */
function certificate(name: string, extensions: string, issuer?: string): void {
  const sign = issuer === undefined ? [] : ['-CA', file(`${issuer}.pem`), '-CAkey', file(`${issuer}.key`)];
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', file(`${name}.key`)];
  execFileSync(
    'openssl',
    [
      'req',
      '-x509',
      ...key,
      '-out',
      file(`${name}.pem`),
      '-subj',
      `/CN=${name}`,
      '-days',
      '2',
      ...sign,
      '-addext',
      extensions,
    ],
    {
      stdio: 'ignore',
    },
  );
}

beforeAll(() => {
  if (!openssl) return;
  dir = mkdtempSync(path.join(tmpdir(), 'belfry-tls-'));
  certificate('ca', 'basicConstraints=critical,CA:TRUE');
  certificate('other-ca', 'basicConstraints=critical,CA:TRUE');
  certificate('server', 'subjectAltName=DNS:localhost', 'ca');
  certificate('client', 'subjectAltName=DNS:client', 'ca');
});
afterAll(() => (dir === '' ? undefined : rmSync(dir, { recursive: true })));

/** Answers with the client certificate's name, or "nobody". */
async function secureServer(): Promise<{ url: string; port: number }> {
  const options = {
    key: readFileSync(file('server.key')),
    cert: readFileSync(file('server.pem')),
    ca: readFileSync(file('ca.pem')),
  };
  const server = https.createServer(
    { ...options, requestCert: true, rejectUnauthorized: false },
    (request, response) => {
      const { subject } = (request.socket as TLSSocket).getPeerCertificate();
      response.end(String(subject?.CN ?? 'nobody'));
    },
  );
  const port = await listen(server);
  return { url: `https://localhost:${port}/`, port };
}

skipUnless(openssl, 'no openssl command')('TLS of the http executor', () => {
  it('refuses a server whose certificate no known authority signed, and says why', async () => {
    const { url, port } = await secureServer();
    const result = await run(newExecutor(), { url });
    expect(result).toMatchObject({
      success: false,
      reason: 'start',
      message: expect.stringMatching(
        `^TLS with localhost:${port} failed: .*certificate.*: name the root that signed it in tlsRootCAsFile$`,
      ),
    });
  });

  it('takes the authorities of tlsRootCAsFile, and only these', async () => {
    const { url } = await secureServer();
    const executor = newExecutor();
    expect(await run(executor, { url, tlsRootCAsFile: file('ca.pem') })).toMatchObject({
      success: true,
      output: 'nobody',
    });
    expect(await run(executor, { url, tlsRootCAsFile: file('other-ca.pem') })).toMatchObject({
      success: false,
      reason: 'start',
    });
  });

  it('checks the name in the certificate', async () => {
    const { port } = await secureServer();
    const result = await run(newExecutor(), { url: `https://127.0.0.1:${port}/`, tlsRootCAsFile: file('ca.pem') });
    expect(result).toMatchObject({
      success: false,
      reason: 'start',
      message: expect.stringContaining('ERR_TLS_CERT_ALTNAME_INVALID'),
    });
  });

  it('checks nothing with tlsNoVerifyPeer', async () => {
    const { url } = await secureServer();
    expect(await run(newExecutor(), { url, tlsNoVerifyPeer: 'true' })).toMatchObject({ success: true });
    expect(await run(newExecutor(), { url, tlsNoVerifyPeer: 'yes' })).toMatchObject({
      success: false,
      output: expect.stringContaining('warning: tlsNoVerifyPeer'),
    });
  });

  it('shows its own certificate, and the new one when the files change', async () => {
    const { url } = await secureServer();
    const executor = newExecutor();
    copyFileSync(file('client.pem'), file('own.pem'));
    copyFileSync(file('client.key'), file('own.key'));
    const config = {
      url,
      tlsRootCAsFile: file('ca.pem'),
      tlsCertificateFile: file('own.pem'),
      tlsCertificateKeyFile: file('own.key'),
    };
    expect((await run(executor, config)).output).toBe('client');
    certificate('renewed', 'subjectAltName=DNS:client', 'ca');
    copyFileSync(file('renewed.pem'), file('own.pem'));
    copyFileSync(file('renewed.key'), file('own.key'));
    expect((await run(executor, config)).output).toBe('renewed');
  });

  it.each<[Record<string, string>, RegExp]>([
    [{ tlsRootCAsFile: 'missing.pem' }, /^tlsRootCAsFile: cannot read .*missing\.pem \(ENOENT\)$/],
    [{ tlsRootCAsFile: 'garbage' }, /^tlsRootCAsFile: .*garbage holds no usable PEM certificate$/],
    [{ tlsRootCAsFile: 'half' }, /^tlsRootCAsFile: .*half holds no usable PEM certificate$/],
    [{ tlsCertificateFile: 'client.pem' }, /^tlsCertificateFile needs tlsCertificateKeyFile$/],
    [{ tlsCertificateKeyFile: 'client.key' }, /^tlsCertificateKeyFile needs tlsCertificateFile$/],
    [
      { tlsCertificateFile: 'garbage', tlsCertificateKeyFile: 'client.key' },
      /^tlsCertificateFile: .*garbage holds no usable PEM certificate$/,
    ],
    [{ tlsCertificateFile: 'empty', tlsCertificateKeyFile: 'client.key' }, /^tlsCertificateFile: .*empty is empty$/],
    [
      { tlsCertificateFile: 'client.pem', tlsCertificateKeyFile: 'server.key' },
      /^tlsCertificateKeyFile: .*server\.key holds no usable PEM key/,
    ],
    [{ tlsCertificateFile: 'client.pem', tlsCertificateKeyFile: '' }, /^tlsCertificateFile needs/],
  ])('%j fails before anything is sent', async (config, message) => {
    const { url } = await secureServer();
    writeFileSync(file('garbage'), 'not a certificate');
    writeFileSync(file('empty'), '');
    writeFileSync(
      file('half'),
      `${readFileSync(file('ca.pem'), 'utf8')}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n`,
    );
    const paths = Object.fromEntries(Object.entries(config).map(([key, name]) => [key, name === '' ? '' : file(name)]));
    const result = await run(newExecutor(), { url, ...paths });
    expect(result).toMatchObject({ success: false, reason: 'start', output: '' });
    expect(result.message).toMatch(message);
  });
});
