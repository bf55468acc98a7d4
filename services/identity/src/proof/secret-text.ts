import { hash, randomBytes } from "node:crypto";

/** What somebody is given to show later. Its kind is its beginning, so that scanners find one that was left somewhere. */
export type SecretKind = "ordermesh_mail_" | "ordermesh_refresh_" | "ordermesh_key_";

/** How every API key begins. */
export const apiKeyPrefix = "ordermesh_key_" satisfies SecretKind;

/** A new one: 256 random bits behind its kind. */
export function newSecret(kind: SecretKind): string {
  return `${kind}${randomBytes(32).toString("base64url")}`;
}

/** What is kept of it. */
export function hashOf(secret: string): Buffer {
  return hash("sha256", secret, "buffer");
}
