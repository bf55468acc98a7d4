import { Resolver } from "node:dns/promises";
import type { LookupFunction } from "node:net";
import type { Walls } from "./walls.ts";

/** A name, or an address in its place, leads to where nothing is sent. */
export class AddressRefusedError extends Error {
  override readonly name = "AddressRefusedError";
}

/** A name leads nowhere. */
export class NameUnknownError extends Error {
  override readonly name = "NameUnknownError";
}

/** Asks for the addresses of a name. */
export type NameResolver = Pick<Resolver, "resolve4" | "resolve6">;

/** How long one server of names may take, in milliseconds, and how often it is asked. */
const resolving = { timeout: 2_000, tries: 2 };

/** The servers of names that the machine uses, but not by its library: that has four threads for all, and a name that nobody answers for would hold up others. */
export function machineResolver(): NameResolver {
  return new Resolver(resolving);
}

/**
 * The addresses of a name.
 *
 * @throws NameUnknownError; AddressRefusedError when nothing is sent to one of them: whoever has a name lead to several places may mean the other one
 */
async function addressesOf(resolver: NameResolver, walls: Walls, name: string) {
  const found = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)]);
  const [four = [], six = []] = found.map((each) => (each.status === "fulfilled" ? each.value : []));
  const addresses = [
    ...four.map((address) => ({ address, family: 4 })),
    ...six.map((address) => ({ address, family: 6 })),
  ];
  if (addresses.length === 0) throw new NameUnknownError("the name leads nowhere");
  if (!addresses.every(({ address }) => walls.allows(address)))
    throw new AddressRefusedError("the name leads to where nothing is sent");
  return addresses;
}

/** How a connection finds its addresses: those that are looked at are those that it takes, so that no name can lead elsewhere a moment later. */
export function guardedLookup(resolver: NameResolver, walls: Walls): LookupFunction {
  return (name, { all }, callback) => {
    addressesOf(resolver, walls, name).then(
      (addresses) => {
        const [first] = addresses;
        if (all) callback(null, addresses);
        else callback(null, first?.address ?? "", first?.family);
      },
      (error: Error) => callback(error, ""),
    );
  };
}
