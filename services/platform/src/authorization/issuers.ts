import type { JWTPayload } from "jose";
import { z } from "zod";
import type { Caller } from "#platform/caller.ts";
import { remoteKeys } from "./remote-keys.ts";
import { type Issuer, rolesOf } from "./token-verifier.ts";

/** The names of roles, as the contract has them. */
const roleName = z.enum(["customer", "agent", "warehouse", "finance", "operator", "auditor", "admin"]);

const issuerSchema = z.strictObject({
  /** As tokens name it (`iss`), to the letter. */
  issuer: z.url(),
  /** Whom tokens have to be for (`aud`). */
  audience: z.string().min(1),
  /** Where its keys are; by discovery when it is left out. */
  keys: z.url().optional(),
  /** What its tokens say to be in their header: `at+jwt`, unless it does not know RFC 9068. */
  type: z.enum(["at+jwt", "JWT"]).default("at+jwt"),
  /** The claim with what somebody is there for, as a way with dots between: `realm_access.roles`. */
  rolesClaim: z.string().default("roles"),
  /** Our roles by its own words; by their own names when it is left out. What it does not name gives nothing. */
  roles: z.record(z.string(), roleName).optional(),
  /** Our services by the subject of their tokens, as service accounts of Kubernetes have it. */
  services: z.record(z.string(), z.string().regex(/^[a-z]+$/)).default({}),
});

/** Those whose tokens are taken. */
export const issuersSchema = z.array(issuerSchema).min(1);
export type IssuerSettings = z.infer<typeof issuerSchema>;

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
  if (service !== undefined) return { subject: `service:${service}`, roles: new Set(), service };
  const said = claimAt(claims, rolesClaim);
  // OAuth's scope is one text with blanks.
  const words = typeof said === "string" ? said.split(" ") : Array.isArray(said) ? said : [];
  const ours = roles ? words.flatMap((word) => (Object.hasOwn(roles, word) ? (roles[word] ?? []) : [])) : words;
  return { subject, roles: rolesOf(ours) };
}

/** An issuer whose keys are fetched from it. */
export function toIssuer(settings: IssuerSettings): Issuer {
  const { issuer, audience, keys, type } = settings;
  return {
    issuer,
    audience,
    type,
    keys: remoteKeys(issuer, keys === undefined ? undefined : new URL(keys)),
    callerOf: (claims) => callerOf(settings, claims),
  };
}
