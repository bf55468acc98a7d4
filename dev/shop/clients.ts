import { Clients } from "#platform/grpc/clients.ts";
import type { ClientOptions } from "../../clients/typescript/src/ordermesh.ts";
import { services } from "../../services/services.ts";
import type { Stack } from "../stack/stack.ts";

/** How our client calls a stack: each process of a service has an address, and is shown a credential with every role. */
export function clientOptionsFor(stack: Stack): Pick<ClientOptions, "addresses" | "headers"> {
  const urls = (addresses: string) =>
    addresses
      .replace(/^ipv4:/, "")
      .split(",")
      .map((address) => `http://${address}`);
  const addresses = Object.fromEntries(services.map((service) => [service, urls(stack.address(service))]));
  return { addresses, headers: () => stack.headers };
}

/** The clients that services have among themselves, for callers who want no repetition; they show the same credential. */
export function plainClients({ headers }: Pick<Stack, "headers">, defaultTimeoutMs = 30_000): Clients {
  return new Clients({
    defaultTimeoutMs,
    maxMessageBytes: 8 * 1024 * 1024,
    authorization: () => headers.authorization,
  });
}
