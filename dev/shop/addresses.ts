import type { ClientOptions } from "../../clients/typescript/src/ordermesh.ts";
import { services } from "../../services/services.ts";
import type { Stack } from "../stack/stack.ts";

/** Where our client finds a stack: each process of a service has an address. */
export function addressesOf(stack: Stack): ClientOptions["addresses"] {
  const urls = (addresses: string) =>
    addresses
      .replace(/^ipv4:/, "")
      .split(",")
      .map((address) => `http://${address}`);
  return Object.fromEntries(services.map((service) => [service, urls(stack.address(service))]));
}
