import { createHmac, randomBytes } from "node:crypto";

/** How every secret begins, so that scanners find one that was left somewhere. */
const secretPrefix = "whsec_";
/** Standard Webhooks wants 24 to 64. */
const secretBytes = 32;

/** What is signed. */
export interface Signed {
  /** `webhook-id`. */
  readonly id: string;
  /** `webhook-timestamp`: whole seconds since 1970. */
  readonly seconds: number;
  readonly body: string;
}

/** A new secret, as subscribers keep it. */
export function newWebhookSecret(): string {
  return `${secretPrefix}${randomBytes(secretBytes).toString("base64")}`;
}

/** `v1,…`: the HMAC-SHA256 that Standard Webhooks has. */
export function signatureOf(secret: string, { id, seconds, body }: Signed): string {
  const key = Buffer.from(secret.slice(secretPrefix.length), "base64");
  return `v1,${createHmac("sha256", key).update(`${id}.${seconds}.${body}`).digest("base64")}`;
}

/** The headers of a request, signed with every secret that is valid: whoever has one of them accepts it. */
export function signedHeaders(secrets: readonly string[], signed: Signed): Record<string, string> {
  return {
    "webhook-id": signed.id,
    "webhook-timestamp": String(signed.seconds),
    "webhook-signature": secrets.map((secret) => signatureOf(secret, signed)).join(" "),
  };
}
