// Where a server listens: "127.0.0.1:8080", "[::1]:8080", "localhost:8080", and Dkron's ":8080" for every interface.

export interface Address {
  /** Empty: every interface. Never in brackets. */
  readonly host: string;
  /** 0: the system picks a free one. */
  readonly port: number;
}

export const PORT_MAX = 65_535;

const ADDRESS = /^(?:\[([0-9a-f:.%a-z]{2,64})\]|([^\s:[\]/{}@]{0,253})):(\d{1,5})$/i;

/** The address, or undefined for anything that is none. */
export function parseAddress(text: string): Address | undefined {
  const match = ADDRESS.exec(text);
  if (match === null) return undefined;
  const port = Number(match[3]);
  return port > PORT_MAX ? undefined : { host: match[1] ?? match[2] ?? '', port };
}

/** What is wrong with a text that is no address, as the end of a sentence. */
export function addressProblem(text: string): string {
  const asked = 'must be host:port such as "127.0.0.1:8080", "[::1]:8080" or ":8080"';
  if (/^\w+:\/\//.test(text)) return `${asked}, without "${text.slice(0, text.indexOf('/'))}//"`;
  if (/^\d+$/.test(text)) return `${asked}; for this machine alone write "127.0.0.1:${text}"`;
  const [, host, port] = /^(.*):(\d+)$/s.exec(text) ?? [];
  if (host === undefined) return `${asked}; it has no port number`;
  if (Number(port) > PORT_MAX) return `${asked}; ports go up to ${PORT_MAX}`;
  return host.includes(':') && !host.startsWith('[') ? `${asked}; an IPv6 address stands in brackets` : asked;
}

/** The text `parseAddress` reads back. */
export function formatAddress({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** True when only this machine can reach the address. */
export function isLoopback({ host }: Address): boolean {
  const name = host.toLowerCase();
  return name === 'localhost' || name === '::1' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(name);
}
