import { z } from "zod";

/** The names of roles, as the contract has them. */
export const roleName = z.enum(["customer", "agent", "warehouse", "finance", "operator", "auditor", "admin"]);

const issuerSchema = z.strictObject({
  /** As tokens name it (`iss`), to the letter. */
  issuer: z.url(),
  /** Whom tokens have to be for (`aud`). */
  audience: z.string().min(1),
  /** Where its keys are; by discovery when it is left out. */
  keys: z.url().optional(),
  /** What its tokens say to be in their header: `at+jwt`, unless it does not know RFC 9068. */
  type: z.enum(["at+jwt", "JWT"]).default("at+jwt"),
  /** What its tokens may be signed by: RS256 and PS256 for issuers that know no other, as Keycloak and Kubernetes unless told. */
  algorithms: z
    .array(z.enum(["EdDSA", "Ed25519", "ES256", "PS256", "RS256"]))
    .min(1)
    .default(["EdDSA", "Ed25519", "ES256"]),
  /** The claim with what somebody is there for, as a way with dots between: `realm_access.roles`. */
  rolesClaim: z.string().default("roles"),
  /** Our roles by its own words; by their own names when it is left out. What it does not name gives nothing. */
  roles: z.record(z.string(), roleName).optional(),
  /** Our services by the subject of their tokens, as service accounts of Kubernetes have it. */
  services: z.record(z.string(), z.string().regex(/^[a-z]+$/)).default({}),
});

/** Those whose tokens are taken. */
export const issuersSchema = z.array(issuerSchema).min(1);
/** One of them. */
export type IssuerSettings = z.infer<typeof issuerSchema>;
