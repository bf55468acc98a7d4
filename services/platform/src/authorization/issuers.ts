import { errors, type JWTPayload } from "jose";
import { type Caller, serviceCaller } from "#platform/caller.ts";
import type { IssuerSettings } from "#platform/issuer-settings.ts";
import { remoteKeys } from "./remote-keys.ts";
import { type Issuer, isPersons, rolesOf } from "./token-verifier.ts";

/** What stands at a way with dots in a token's claims, whose names may have dots as well: `https://shop.example/roles`. */
function claimAt(claims: unknown, way: string): unknown {
  if (typeof claims !== "object" || claims === null) return undefined;
  if (Object.hasOwn(claims, way)) return Reflect.get(claims, way);
  for (let dot = way.indexOf("."); dot >= 0; dot = way.indexOf(".", dot + 1)) {
    const name = way.slice(0, dot);
    const found = Object.hasOwn(claims, name) ? claimAt(Reflect.get(claims, name), way.slice(dot + 1)) : undefined;
    if (found !== undefined) return found;
  }
  return undefined;
}

/**
 * Who shows a token, by its issuer's settings.
 *
 * @throws JWTClaimValidationFailed when it calls somebody as only our services are called
 */
export function callerOf({ rolesClaim, roles, services }: IssuerSettings, claims: JWTPayload): Caller {
  const { sub: subject = "" } = claims;
  const service = Object.hasOwn(services, subject) ? services[subject] : undefined;
  if (service !== undefined) return serviceCaller(service);
  // The audit log would have it for a service.
  if (subject.startsWith("service:")) {
    throw new errors.JWTClaimValidationFailed("a service's name", claims, "sub", "check_failed");
  }
  const said = claimAt(claims, rolesClaim);
  // OAuth's scope is one text with blanks.
  const words = typeof said === "string" ? said.split(" ") : Array.isArray(said) ? said : [];
  const ours = roles ? words.flatMap((word) => (Object.hasOwn(roles, word) ? (roles[word] ?? []) : [])) : words;
  return { subject, roles: rolesOf(ours), person: isPersons(claims) };
}

/** An issuer whose keys are fetched from it. @throws ConfigError when the file of its authority cannot be read */
export function toIssuer(settings: IssuerSettings): Issuer {
  const { issuer, audience, keys, ca, type, algorithms } = settings;
  return {
    issuer,
    audience,
    type,
    algorithms,
    keys: remoteKeys(issuer, { ...(keys !== undefined && { keysUrl: new URL(keys) }), ca }),
    callerOf: (claims) => callerOf(settings, claims),
  };
}
