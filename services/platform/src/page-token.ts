import { createCipheriv, createDecipheriv, createHmac, hkdfSync } from "node:crypto";
import { PlatformErrorReason } from "#gen/shop/type/v1/platform_error_reason_pb.js";
import { canonicalJson } from "./canonical-json.ts";
import { PlatformError } from "./errors.ts";
import type { Secret } from "./secret.ts";

/** What a cursor or a filter may consist of. */
export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

/** The part of a list's request that says which page is wanted; a size of 0 is the default. */
export interface PageRequest {
  readonly pageSize: number;
  readonly pageToken: string;
}

/** How a list is read a page at a time. */
export interface PageSource<T, C> {
  /** Everything that decides which rows the list has, the method's name included. */
  readonly filter: Json;
  /** The place that a token stands for; undefined when it stands for none of this list's. */
  readonly place: (cursor: Json) => C | undefined;
  /** At most `limit` items after the place. */
  readonly read: (page: { readonly after: C | undefined; readonly limit: number }) => Promise<readonly T[]>;
  /** What the token of the place after an item holds. */
  readonly cursorOf: (item: T) => Json;
}

/** One page of a list. */
export interface Page<T> {
  readonly items: readonly T[];
  /** Empty on the last page. */
  readonly nextPageToken: string;
}

/** Items of a page whose size is not given. */
export const defaultPageSize = 50;
const ivBytes = 12;
const tagBytes = 16;
const version = 1;

/**
 * Seals page tokens: AES-256-GCM, so that a token shows nothing, cannot be made up, and fits only the list it was given
 * for. All replicas share the secret. The same place of the same list has the same token, so that a page that did not change is
 * told from one that did.
 */
export class PageTokens {
  readonly #secret: Pick<Secret, "text" | "look">;
  #keys: Keys;
  /** Those before the secret changed: lists that were begun go on. */
  #former: Keys | undefined;

  /** @param secret `PAGE_TOKEN_SECRET`, at least 32 characters */
  constructor(secret: Pick<Secret, "text" | "look">) {
    this.#secret = secret;
    this.#keys = keysOf(secret.text);
  }

  /**
   * Reads one page, and one item more, which tells whether there is another page.
   *
   * @throws INVALID_PAGE_TOKEN when the token is damaged or was given for another filter
   */
  async page<T, C>({ pageSize, pageToken }: PageRequest, source: PageSource<T, C>): Promise<Page<T>> {
    const cursor = this.open(pageToken, source.filter);
    const limit = pageSize || defaultPageSize;
    const found = await source.read({
      after: cursor === undefined ? undefined : source.place(cursor),
      limit: limit + 1,
    });
    const items = found.slice(0, limit);
    const last = found.length > limit ? items.at(-1) : undefined;
    return { items, nextPageToken: last === undefined ? "" : this.seal(source.cursorOf(last), source.filter) };
  }

  /**
   * A token for the place after `cursor`.
   *
   * @param filter everything that decides which rows the list has, the method's name and the caller included; a token
   * opens only with the same
   */
  seal(cursor: Json, filter: Json): string {
    const [list, place] = [canonicalJson(filter), JSON.stringify(cursor)];
    // No two contents share an IV, which is all that GCM asks of it.
    const { key, ivKey } = this.#current();
    const iv = createHmac("sha256", ivKey).update(`${list}\n${place}`).digest().subarray(0, ivBytes);
    const cipher = createCipheriv("aes-256-gcm", key, iv);
    cipher.setAAD(Buffer.from(list));
    const sealed = Buffer.concat([cipher.update(place, "utf8"), cipher.final()]);
    return Buffer.concat([Buffer.of(version), iv, sealed, cipher.getAuthTag()]).toString("base64url");
  }

  /**
   * The cursor of a token; undefined for the empty token, which is the first page.
   *
   * @throws INVALID_PAGE_TOKEN when it is damaged or was given for another filter
   */
  open(token: string, filter: Json): Json | undefined {
    if (token === "") return undefined;
    const keys = this.#current();
    try {
      return openWith(keys, token, filter);
    } catch (cause) {
      const opened = this.#openOtherwise(keys, token, filter);
      if (opened !== undefined) return opened;
      const message = "the page token is damaged or belongs to a list with other filters";
      throw new PlatformError(PlatformErrorReason.INVALID_PAGE_TOKEN, message, {}, { cause });
    }
  }

  /** By the keys before, or by those that another replica has read a moment earlier. */
  #openOtherwise(keys: Keys, token: string, filter: Json): Json | undefined {
    const others = [this.#former, this.#look()].filter((other) => other !== undefined && other !== keys);
    for (const other of others) {
      try {
        return openWith(other as Keys, token, filter);
      } catch {
        // The next one may.
      }
    }
    return undefined;
  }

  /** What is wrong with the file is told by who reads it again and again. */
  #look(): Keys {
    try {
      this.#secret.look();
    } catch {
      return this.#keys;
    }
    return this.#current();
  }

  #current(): Keys {
    const { text } = this.#secret;
    if (text === this.#keys.text) return this.#keys;
    this.#former = this.#keys;
    this.#keys = keysOf(text);
    return this.#keys;
  }
}

interface Keys {
  readonly text: string;
  readonly key: Buffer;
  readonly ivKey: Buffer;
}

function keysOf(text: string): Keys {
  if (text.length < 32) throw new RangeError("the page token secret has fewer than 32 characters");
  const keyFor = (use: string) => Buffer.from(hkdfSync("sha256", text, "", use, 32));
  return { text, key: keyFor("ordermesh page token"), ivKey: keyFor("ordermesh page token iv") };
}

/** @throws Error when the token was not made with these keys and for this filter */
function openWith({ key }: Keys, token: string, filter: Json): Json {
  const bytes = Buffer.from(token, "base64url");
  if (bytes.length <= 1 + ivBytes + tagBytes || bytes[0] !== version) throw new RangeError("not a page token");
  const decipher = createDecipheriv("aes-256-gcm", key, bytes.subarray(1, 1 + ivBytes), { authTagLength: tagBytes });
  decipher.setAAD(Buffer.from(canonicalJson(filter)));
  decipher.setAuthTag(bytes.subarray(-tagBytes));
  const text = decipher.update(bytes.subarray(1 + ivBytes, -tagBytes), undefined, "utf8") + decipher.final("utf8");
  // biome-ignore lint/plugin/json: what we sealed ourselves
  return JSON.parse(text) as Json;
}
