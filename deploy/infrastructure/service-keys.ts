import { generateKeyPairSync, type JsonWebKey } from "node:crypto";
import { connectors, services } from "../../services/services.ts";

/** An Ed25519 key, both halves, as `SERVICE_KEY` has it. */
export function newServiceKey(): JsonWebKey {
  return generateKeyPairSync("ed25519").privateKey.export({ format: "jwk" });
}

/**
 * What all services are told of one of them, as `SERVICE_KEYS` has it.
 *
 * @param kid the service, or a program's name
 * @param roles what a program may do that is no service of ours
 */
export function publicHalf({ d: _, ...half }: JsonWebKey, kid: string, roles?: readonly string[]): JsonWebKey {
  return { ...half, kid, ...(roles && { roles }) };
}

/**
 * What programs may do that are no services, or stand for somebody's that is none: `helm test` orders something, and puts it on a shelf before; the books ask what
 * gateway and carrier did; carriers, the simulated one and EasyPost's connector, tell where parcels are.
 */
export const programs: Readonly<Record<string, readonly string[]>> = {
  test: ["agent", "warehouse"],
  books: ["auditor"],
  simulators: ["warehouse"],
  easypost: ["warehouse"],
};

/** The secret of which each pod is given its own key, by its service's name, and `public`: the halves that all know. */
export function newServiceKeys(): Record<string, string> {
  const own = new Map([...services, ...connectors, ...Object.keys(programs)].map((name) => [name, newServiceKey()]));
  const keys = [...own].map(([name, key]) => publicHalf(key, name, programs[name]));
  const privates = [...own].map(([name, key]) => [name, JSON.stringify(key)] as const);
  return { ...Object.fromEntries(privates), public: JSON.stringify({ keys }) };
}
