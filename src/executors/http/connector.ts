/**
 * Opens the sockets of an agent: TCP, and TLS with the agent's settings. Kept apart from undici's own connector because a connection
 * that is given up while it opens must go at once (a target that swallows packets would hold it for two minutes), and because a
 * burst of connections to one host must cost one name lookup: lookups share libuv's four threads with the file system.
 */
import { lookup as systemLookup } from 'node:dns';
import net from 'node:net';
import tls from 'node:tls';
import type { buildConnector } from 'undici';
import type { TlsOptions } from './tls-files.ts';

/** Opens a socket and calls back once; the returned socket may be destroyed at any time before. */
export type Connector = (target: buildConnector.Options, callback: buildConnector.Callback) => net.Socket;

/** TLS sessions kept for resumption, by server name. */
const SESSIONS_MAX = 100;
const TCP_KEEPALIVE_DELAY_MS = 60_000;

/** `tlsOptions` is asked at the first https target: plain http must not pay for reading root certificates. */
export function createConnector(tlsOptions: () => TlsOptions): Connector {
  const sessions = new Map<string, Buffer>();
  return (target, callback) => {
    const secure = target.protocol === 'https:';
    const socket = secure ? openTls(target, tlsOptions(), sessions) : openTcp(target);
    socket.setKeepAlive(true, TCP_KEEPALIVE_DELAY_MS);
    socket.setNoDelay(true);
    let open = false;
    socket.once(secure ? 'secureConnect' : 'connect', () => {
      open = true;
      callback(null, socket);
    });
    socket.on('error', (error) => {
      if (!open) callback(error, null); // later errors are undici's, which listens too
      open = true;
    });
    // A socket that closes while it opens without an error (the peer hung up in the handshake) must not leave the request waiting.
    socket.once('close', () => {
      if (!open) callback(new Error('the connection was closed while it was being set up'), null);
      open = true;
    });
    return socket;
  };
}

function openTcp({ hostname, port }: buildConnector.Options): net.Socket {
  return net.connect({ host: hostname, port: Number(port || 80), lookup: sharedLookup });
}

function openTls(target: buildConnector.Options, options: TlsOptions, sessions: Map<string, Buffer>): net.Socket {
  const servername = target.servername ?? (net.isIP(target.hostname) === 0 ? target.hostname : '');
  const key = `${servername}|${target.hostname}`;
  const session = sessions.get(key);
  const socket = tls.connect({
    host: target.hostname,
    port: Number(target.port || 443),
    servername,
    secureContext: options.secureContext,
    rejectUnauthorized: options.verifyPeer,
    ALPNProtocols: ['http/1.1'],
    lookup: sharedLookup,
    ...(session === undefined ? {} : { session }),
  });
  socket.on('session', (fresh) => {
    sessions.delete(key);
    sessions.set(key, fresh);
    const oldest = sessions.keys().next();
    if (sessions.size > SESSIONS_MAX && !oldest.done) sessions.delete(oldest.value);
  });
  return socket;
}

type LookupCallback = Parameters<net.LookupFunction>[2];

/** Lookups under way: whoever asks for the same name meanwhile waits for the same answer. */
const asking = new Map<string, LookupCallback[]>();

const sharedLookup: net.LookupFunction = (hostname, options, callback) => {
  const key = `${hostname}|${String(options.family)}|${String(options.all)}|${String(options.hints)}`;
  const waiting = asking.get(key);
  if (waiting !== undefined) {
    waiting.push(callback);
    return;
  }
  asking.set(key, [callback]);
  systemLookup(hostname, options, (error, address, family) => {
    const all = asking.get(key) ?? [];
    asking.delete(key);
    for (const each of all) each(error, address, family);
  });
};
