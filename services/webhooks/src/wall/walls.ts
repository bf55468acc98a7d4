import ipaddr from "ipaddr.js";
import type { Network } from "#platform/limit-settings.ts";

/** Where requests may go. */
export interface WallsOptions {
  readonly ports: readonly number[];
  /** Whether `http://` will do. */
  readonly plainHttp: boolean;
  /** Networks that are not public, and where endpoints may be all the same. */
  readonly networks: readonly Network[];
}

/** What is wrong with a URL. */
export type UrlRule = "url" | "scheme" | "credentials" | "fragment" | "port" | "address";

/** All that is routed to somebody in IPv6, of which registries set some apart. */
const globalUnicast = ipaddr.parseCIDR("2000::/3");
/** An address like any other, at which the machines of Azure find what is theirs alone. */
const privateThoughPublic: readonly Network[] = [ipaddr.parseCIDR("168.63.129.16/32")];

/** Says where nothing is sent, whoever wants it: to what is not public, and to ports and protocols that nobody has allowed. */
export class Walls {
  readonly #options: WallsOptions;

  constructor(options: WallsOptions) {
    this.#options = options;
  }

  /** What keeps us from sending to a URL, as far as the URL says it; undefined when nothing does. Where a name leads is seen when it is looked up. */
  brokenRule(text: string): UrlRule | undefined {
    if (!URL.canParse(text)) return "url";
    const { protocol, username, password, hash, hostname } = new URL(text);
    if (protocol !== "https:" && !(protocol === "http:" && this.#options.plainHttp)) return "scheme";
    if (username !== "" || password !== "") return "credentials";
    if (hash !== "" || text.includes("#")) return "fragment";
    if (!this.#options.ports.includes(portOf(new URL(text)))) return "port";
    const address = literalOf(hostname);
    return address !== undefined && !this.allows(address) ? "address" : undefined;
  }

  /** Whether something may be sent to an address of IPv4 or IPv6. */
  allows(address: string): boolean {
    if (!ipaddr.isValid(address)) return false;
    const parsed = ipaddr.parse(address);
    if (this.#options.networks.some((network) => isIn(parsed, network))) return true;
    if (parsed.range() !== "unicast" || privateThoughPublic.some((network) => isIn(parsed, network))) return false;
    return parsed.kind() === "ipv4" || isIn(parsed, globalUnicast);
  }
}

function isIn(address: ReturnType<typeof ipaddr.parse>, [network, bits]: Network): boolean {
  return address.kind() === network.kind() && address.match(network, bits);
}

/** The port that a URL leads to, said or not. */
export function portOf({ port, protocol }: URL): number {
  return port === "" ? (protocol === "https:" ? 443 : 80) : Number(port);
}

/** The address that stands in a URL instead of a name, as URLs write it: all other spellings are this one by then. */
export function literalOf(hostname: string): string | undefined {
  const bare = hostname.replace(/^\[(.*)\]$/, "$1");
  return ipaddr.isValid(bare) ? bare : undefined;
}
