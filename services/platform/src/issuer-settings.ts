import { z } from "zod";

/** The names of roles, as the contract has them. */
export const roleName = z.enum(["customer", "agent", "warehouse", "finance", "operator", "auditor", "admin"]);

/** What a word of theirs is here: a role, or several. */
const ourRoles = z.union([roleName, z.array(roleName)]);

function isSecure(url: string): boolean {
  return new URL(url).protocol === "https:";
}

const issuerFields = z.strictObject({
  /** As tokens name it (`iss`), to the letter. */
  issuer: z.url(),
  /** Whom tokens have to be for (`aud`). */
  audience: z.string().min(1),
  /** Where its keys are; by discovery when it is left out. */
  keys: z.url().optional(),
  /** A file with the authority by which alone its certificate is known, as PEM; public authorities when it is left out. */
  ca: z.string().min(1).optional(),
  /** What its tokens say to be in their header: `at+jwt`, unless it does not know RFC 9068; then they may say nothing. */
  type: z.enum(["at+jwt", "JWT"]).default("at+jwt"),
  /** What its tokens may be signed by: RS256 and PS256 for issuers that know no other, as Keycloak and Kubernetes unless told. */
  algorithms: z
    .array(z.enum(["EdDSA", "Ed25519", "ES256", "PS256", "RS256"]))
    .min(1)
    .default(["EdDSA", "Ed25519", "ES256"]),
  /**
   * The claim with what somebody is there for, as a way with dots between: `realm_access.roles`. Names of claims may have dots too.
   */
  rolesClaim: z.string().default("roles"),
  /** Our roles by its own words; by their own names when it is left out. What it does not name gives nothing. */
  roles: z.record(z.string(), ourRoles).optional(),
  /** Our services by the subject of their tokens, as service accounts of Kubernetes have it. */
  services: z.record(z.string(), z.string().regex(/^[a-z]+$/)).default({}),
});

const issuerSchema = issuerFields.refine(
  ({ issuer, keys = issuer, ca }) => ca === undefined || (isSecure(issuer) && isSecure(keys)),
  { path: ["ca"], message: "is of use for https alone" },
);

/** Those whose tokens are taken. */
export const issuersSchema = z.array(issuerSchema).min(1);
/** One of them. */
export type IssuerSettings = z.infer<typeof issuerSchema>;
