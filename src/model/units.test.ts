import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatAddress, isLoopback, parseAddress } from './address.ts';
import { formatBytes, parseBytes } from './bytes.ts';

test.each([
  ['0', 0],
  ['4096', 4096],
  ['1k', 1024],
  ['1KiB', 1024],
  ['1kB', 1000],
  ['64MiB', 67_108_864],
  ['1.5 GB', 1_500_000_000],
  ['10b', 10],
  ['512 bytes', 512],
  [' 1  MiB ', 1_048_576],
])('%s is %d bytes', (text, bytes) => expect(parseBytes(text)).toBe(bytes));

test.each(['', 'x', '-1', '1PiB', '1e3', '1,5GB', '9007199254740993', '999999TiB', '1 2', '.5k', '1.5', '5 byte', ' '])(
  '"%s" is no size',
  (text) => expect(parseBytes(text)).toBeUndefined(),
);

test('a size shown reads back', () => {
  fc.assert(fc.property(fc.maxSafeNat(), (bytes) => parseBytes(formatBytes(bytes)) === bytes));
});

test.each([
  ['127.0.0.1:8080', '127.0.0.1', 8080, true],
  [':8080', '', 8080, false],
  ['[::1]:80', '::1', 80, true],
  ['[::]:80', '::', 80, false],
  ['localhost:0', 'localhost', 0, true],
  ['127.example.org:1', '127.example.org', 1, false],
  ['example.org:65535', 'example.org', 65_535, false],
])('%s', (text, host, port, loopback) => {
  const address = parseAddress(text);
  expect(address).toEqual({ host, port });
  expect(isLoopback(address ?? { host: '', port: 0 })).toBe(loopback);
});

test.each([
  '',
  '8080',
  'host',
  'host:',
  'host:65536',
  'host:-1',
  '::1:80',
  '[::1]',
  'a b:1',
  'http://a:1',
  'user@a:1',
  'a/b:1',
])('"%s" is no address', (text) => expect(parseAddress(text)).toBeUndefined());

test('an address shown reads back', () => {
  const hosts = fc.oneof(fc.ipV4(), fc.ipV6(), fc.domain(), fc.constant(''), fc.constant('fe80::1%eth0'));
  fc.assert(
    fc.property(hosts, fc.integer({ min: 0, max: 65_535 }), (host, port) => {
      expect(parseAddress(formatAddress({ host, port }))).toEqual({ host, port });
    }),
  );
});

test('whatever reads as an address is shown so that it reads back', () => {
  const texts = fc.string({ unit: fc.constantFrom(...Array.from('[]:.%@{}/ a0159f')), maxLength: 12 });
  fc.assert(
    fc.property(texts, (text) => {
      const address = parseAddress(text);
      if (address !== undefined) expect(parseAddress(formatAddress(address))).toEqual(address);
    }),
  );
});
