/**
 * Where the API listens. The address is tried before a node makes or starts anything, and listened on last, so that nothing answers before
 * it is true. Who takes the port in between is met at the end with the same words.
 */
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { type Address, formatAddress, PORT_MAX } from '../model/address.ts';
import { AppError } from '../model/errors.ts';

/** Listens, and stops again at once. Throws AppError `unavailable`. */
export async function assertCanListen(address: Address): Promise<void> {
  const server = createServer((socket) => socket.destroy());
  try {
    server.listen(whereOf(address));
    await once(server, 'listening');
  } catch (error) {
    throw cannotListen(address, error);
  } finally {
    await new Promise((done) => server.close(done));
  }
}

/** Answers where it really listens (the port may have been 0). Throws AppError `unavailable`. */
export async function listen(app: FastifyInstance, address: Address): Promise<Address> {
  try {
    await app.listen(whereOf(address));
  } catch (error) {
    throw cannotListen(address, error);
  }
  const bound = app.server.address();
  return typeof bound === 'object' && bound !== null ? { host: bound.address, port: bound.port } : address;
}

/** No host: every interface. */
function whereOf({ host, port }: Address): Address {
  return { host: host === '' ? '::' : host, port };
}

function cannotListen(address: Address, error: unknown): AppError {
  const { code = '', message } = error as NodeJS.ErrnoException;
  const [cause, remedy] = wordsOf(code, address) ?? [message, 'Give another --http-addr.'];
  return new AppError('unavailable', `Cannot listen on ${formatAddress(address)}: ${cause}.`, {
    field: 'http-addr',
    remedy,
    cause: error,
  });
}

/** The cause and what to do, by the code of the system. */
function wordsOf(code: string, address: Address): [string, string] | undefined {
  const { host, port } = address;
  switch (code) {
    case 'EADDRINUSE':
      return [
        'another program listens there, perhaps another node, or Dkron',
        `"ss -ltnp sport = :${port}" shows which. Stop it, or give another --http-addr, for example ${formatAddress({ host, port: port < PORT_MAX ? port + 1 : port - 1 })}.`,
      ];
    case 'EACCES':
      return [
        `this user may not listen on port ${port}`,
        `Give an --http-addr with a port from 1024 up, for example ${formatAddress({ host, port: 8080 })}.`,
      ];
    case 'EADDRNOTAVAIL':
      return ['no network interface of this machine has that address', 'Give an --http-addr that "ip addr" shows.'];
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return [
        'the name has no address',
        `Correct the name in --http-addr, or write the address in numbers; ":${port}" means every interface.`,
      ];
    case 'EAFNOSUPPORT':
      return ['this machine lacks that kind of address', `Give an IPv4 --http-addr, for example 127.0.0.1:${port}.`];
    default:
      return undefined;
  }
}
