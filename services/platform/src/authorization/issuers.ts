import type { JWTPayload } from "jose";
import { type Caller, serviceCaller } from "#platform/caller.ts";
import type { IssuerSettings } from "#platform/issuer-settings.ts";
import { remoteKeys } from "./remote-keys.ts";
import { type Issuer, rolesOf } from "./token-verifier.ts";

/** What stands at a way with dots in a token's claims. */
function claimAt(claims: JWTPayload, way: string): unknown {
  let found: unknown = claims;
  for (const name of way.split(".")) {
    if (typeof found !== "object" || found === null || !Object.hasOwn(found, name)) return undefined;
    found = Reflect.get(found, name);
  }
  return found;
}

/** Who shows a token, by its issuer's settings. */
export function callerOf({ rolesClaim, roles, services }: IssuerSettings, claims: JWTPayload): Caller {
  const { sub: subject = "" } = claims;
  const service = Object.hasOwn(services, subject) ? services[subject] : undefined;
  if (service !== undefined) return serviceCaller(service);
  const said = claimAt(claims, rolesClaim);
  // OAuth's scope is one text with blanks.
  const words = typeof said === "string" ? said.split(" ") : Array.isArray(said) ? said : [];
  const ours = roles ? words.flatMap((word) => (Object.hasOwn(roles, word) ? (roles[word] ?? []) : [])) : words;
  return { subject, roles: rolesOf(ours) };
}

/** An issuer whose keys are fetched from it. */
export function toIssuer(settings: IssuerSettings): Issuer {
  const { issuer, audience, keys, type, algorithms } = settings;
  return {
    issuer,
    audience,
    type,
    algorithms,
    keys: remoteKeys(issuer, keys === undefined ? undefined : new URL(keys)),
    callerOf: (claims) => callerOf(settings, claims),
  };
}
