/** The tags of this node: the configured ones, and Dkron's reserved ones (dkron.md §8.1) as a lone server has them. */
import type { Config } from '../model/config.ts';
import type { OwnTag } from '../model/options/node.ts';

const DKRON_RPC_PORT = 6868;

export function nodeTags(config: Config, version: string): Record<string, string> {
  const own: Record<OwnTag, string> = {
    role: 'dkron',
    dc: config.datacenter,
    region: config.region,
    version,
    server: 'true',
    expect: '1',
    port: String(DKRON_RPC_PORT),
    rpc_addr: `127.0.0.1:${DKRON_RPC_PORT}`,
  };
  return { ...config.tags, ...own };
}
