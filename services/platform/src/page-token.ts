import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from "node:crypto";
import { PlatformErrorReason } from "#gen/shop/type/v1/platform_error_reason_pb.js";
import { PlatformError } from "./errors.ts";

/** What a cursor or a filter may consist of. */
export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

const ivBytes = 12;
const tagBytes = 16;
const version = 1;

/**
 * Seals page tokens: AES-256-GCM, so that a token shows nothing, cannot be made up, and fits only the list it was given
 * for. All replicas share the secret.
 */
export class PageTokens {
  readonly #key: Buffer;

  /** @param secret `PAGE_TOKEN_SECRET`, at least 32 characters */
  constructor(secret: string) {
    if (secret.length < 32) throw new RangeError("the page token secret has fewer than 32 characters");
    this.#key = Buffer.from(hkdfSync("sha256", secret, "", "ordermesh page token", 32));
  }

  /**
   * A token for the place after `cursor`.
   *
   * @param filter everything that decides which rows the list has, the method's name and the caller included; a token
   * opens only with the same
   */
  seal(cursor: Json, filter: Json): string {
    const iv = randomBytes(ivBytes);
    const cipher = createCipheriv("aes-256-gcm", this.#key, iv);
    cipher.setAAD(canonical(filter));
    const sealed = Buffer.concat([cipher.update(JSON.stringify(cursor), "utf8"), cipher.final()]);
    return Buffer.concat([Buffer.of(version), iv, sealed, cipher.getAuthTag()]).toString("base64url");
  }

  /**
   * The cursor of a token; undefined for the empty token, which is the first page.
   *
   * @throws INVALID_PAGE_TOKEN when it is damaged or was given for another filter
   */
  open(token: string, filter: Json): Json | undefined {
    if (token === "") return undefined;
    try {
      const bytes = Buffer.from(token, "base64url");
      if (bytes.length <= 1 + ivBytes + tagBytes || bytes[0] !== version) throw new RangeError("not a page token");
      const decipher = createDecipheriv("aes-256-gcm", this.#key, bytes.subarray(1, 1 + ivBytes), {
        authTagLength: tagBytes,
      });
      decipher.setAAD(canonical(filter));
      decipher.setAuthTag(bytes.subarray(-tagBytes));
      const text = decipher.update(bytes.subarray(1 + ivBytes, -tagBytes), undefined, "utf8") + decipher.final("utf8");
      return JSON.parse(text) as Json;
    } catch (cause) {
      const message = "the page token is damaged or belongs to a list with other filters";
      throw new PlatformError(PlatformErrorReason.INVALID_PAGE_TOKEN, message, {}, { cause });
    }
  }
}

function canonical(filter: Json): Buffer {
  const sorted = JSON.stringify(filter, (_key, value: Json) => {
    if (value === null || typeof value !== "object" || Array.isArray(value)) return value;
    return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
  return Buffer.from(sorted);
}
