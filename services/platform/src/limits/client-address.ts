import { isIP } from "node:net";
import ipaddr from "ipaddr.js";
import type { Network, ProxyHeader } from "#platform/limit-settings.ts";

type Address = ipaddr.IPv4 | ipaddr.IPv6;
/**
 * How much of an IPv6 address tells one caller from another, in bits: who has one network of these has all of its addresses. Providers
 * give a household 56 bits (RIPE-690), and some of them 48.
 */
const ipv6CallerBits = 56;
const mostRemembered = 10_000;
/** What a call is said to come from whose peer has no address. */
export const unknownAddress = "unknown";

/** The address in what a proxy wrote: it may add a port, and brackets to what has colons. Undefined when it is none. */
function addressIn(text: string): Address | undefined {
  const [, bracketed, plain] = /^(?:\[([^\]]*)\](?::\d+)?|([^:]*)(?::\d+)?)$/.exec(text) ?? [];
  const address = bracketed ?? plain ?? text;
  return isIP(address) === 0 ? undefined : ipaddr.process(address);
}

/** Whom the elements of `Forwarded` (RFC 7239) are for. */
function forwardedFor(header: string): string[] {
  // biome-ignore lint/plugin/regex: the two alternatives begin with different characters
  const elements = header.match(/(?:[^,"]|"(?:\\.|[^"\\])*")+/g) ?? [];
  return elements.map((element) => {
    // biome-ignore lint/plugin/regex: the two alternatives begin with different characters
    const [, quoted, token = ""] = /(?:^|;)\s*for=(?:"((?:\\.|[^"\\])*)"|([^;\s]*))/i.exec(element.trim()) ?? [];
    return quoted?.replace(/\\(.)/g, "$1") ?? token;
  });
}

/** Where a call comes from. */
export interface Origin {
  /** The address of whoever is connected; empty where calls come by no network. */
  readonly peer: string;
  /** One header of the request. */
  header(name: string): string | undefined;
}

/** Tells who calls by where the call comes from: the client's address, also when trusted proxies stand between. */
export class ClientAddresses {
  readonly #proxies: readonly Network[];
  readonly #header: ProxyHeader;
  readonly #onStranger: (peer: string) => void;
  /** Whom those are who call by themselves, by their addresses: reading an address costs more than all the rest. */
  readonly #direct = new Map<string, string>();
  #told = false;

  /**
   * @param proxies whose word is taken on whom they call for
   * @param onStranger told once, when somebody else says for whom it calls: a proxy that nobody has named, or a lie
   */
  constructor(proxies: readonly Network[], header: ProxyHeader, onStranger: (peer: string) => void = () => undefined) {
    this.#proxies = proxies;
    this.#header = header;
    this.#onStranger = onStranger;
  }

  /** The client of a call: an IPv4 address, or the network of an IPv6 one; {@link unknownAddress} where the peer has none. */
  of({ peer, header }: Origin): string {
    const known = this.#direct.get(peer);
    const address = known === undefined ? addressIn(peer) : undefined;
    if (address && this.#isProxy(address)) return callerIn(this.#behind(address, header(this.#header)));
    if (!this.#told && header(this.#header) !== undefined) this.#tell(peer);
    return known ?? this.#remember(peer, address ? callerIn(address) : unknownAddress);
  }

  #remember(peer: string, caller: string): string {
    if (this.#direct.size >= mostRemembered) this.#direct.clear();
    this.#direct.set(peer, caller);
    return caller;
  }

  #isProxy(address: Address): boolean {
    return this.#proxies.some(
      ([network, bits]) => network.kind() === address.kind() && address.match([network, bits] as [Address, number]),
    );
  }

  /** From the right: each proxy adds the one that called it, and what a client says of itself is further left. */
  #behind(peer: Address, header: string | undefined): Address {
    const said = header === undefined ? [] : this.#header === "forwarded" ? forwardedFor(header) : header.split(",");
    let nearest = peer;
    for (const text of said.reverse()) {
      const address = addressIn(text.trim());
      if (!address) return nearest;
      nearest = address;
      if (!this.#isProxy(address)) break;
    }
    return nearest;
  }

  #tell(peer: string): void {
    this.#told = true;
    this.#onStranger(peer);
  }
}

function callerIn(address: Address): string {
  if (address.kind() === "ipv4") return address.toString();
  const bytes = address.toByteArray().fill(0, ipv6CallerBits / 8);
  return `${ipaddr.fromByteArray(bytes)}/${ipv6CallerBits}`;
}
