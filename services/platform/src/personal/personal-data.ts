import { createSecretKey, type KeyObject } from "node:crypto";
import { decodeId, newId } from "#platform/id.ts";
import { randomBytes } from "#platform/random-bytes.ts";
import { newIvs, open, seal } from "#platform/sealing.ts";
import type { KeyProvider } from "./key-provider.ts";
import type { PersonalKeyRow } from "./personal-key.ts";

/** AES-256. */
const keyBytes = 32;
/** A uuid without dashes, at the beginning of a sealed text. */
const idLength = 32;
/** So many keys are remembered: an order is read some five times while it goes on, and to unwrap is half of reading. */
const remembered = 4_096;
/** Says what the rest of the associated data is. */
const format = "ordermesh person 1";

/** What nobody reads without its key, and that key. Both are written by one transaction. */
export interface Sealed {
  /** The id of its key, 32 characters, and what was sealed, in base64. */
  readonly text: string;
  readonly key: PersonalKeyRow;
}

/** What {@link PersonalData} works with. */
export interface PersonalDataOptions {
  /** Undefined: there are no master keys, everything is plain. */
  readonly keys: KeyProvider | undefined;
  /** Whether what is written is sealed; sealed values are read in any case. */
  readonly seals: boolean;
}

/** There is no master key, and something is sealed. */
export class NoMasterKeyError extends Error {
  override readonly name = "NoMasterKeyError";

  constructor() {
    super("personal data is sealed, and there is no master key: set PERSONAL_DATA_KEYS or PERSONAL_DATA_KEYS_FILE");
  }
}

/** Seals what says who somebody is, each value by a key of its own, and opens it while its key is there. */
export class PersonalData {
  readonly keys: KeyProvider | undefined;
  /** Whether what is written is sealed. */
  readonly seals: boolean;
  /**
   * Keys by how they lie wrapped. One that is forgotten is of no use here: whoever reads a value brings its wrapped key from the database.
   */
  readonly #unwrapped = new Map<string, KeyObject>();

  constructor({ keys, seals }: PersonalDataOptions) {
    this.keys = keys;
    this.seals = seals && keys !== undefined;
  }

  /**
   * @param place where it lies, for example `shipment.address/01J…`: moved to another one, it does not open
   * @param value what JSON can hold
   */
  async seal(place: string, value: unknown): Promise<Sealed> {
    const { keys } = this;
    if (!keys) throw new NoMasterKeyError();
    const uuid = decodeId(newId());
    const id = uuid.replaceAll("-", "");
    const bytes = randomBytes(keyBytes);
    const key = createSecretKey(bytes);
    const wrapped = await keys.wrap(bytes, id);
    this.#remember(wrapped.wrapped, key);
    return { text: sealedText({ place, id, key }, value), key: { key_id: uuid, ...wrapped } };
  }

  /**
   * Seals a value by the key of another one, with which it is forgotten; undefined when that key is gone.
   *
   * @param neighbour a sealed text with its key behind it, as {@link open} takes it
   * @throws UnknownKeyError; NoMasterKeyError
   */
  async sealBeside(neighbour: string, place: string, value: unknown): Promise<string | undefined> {
    const found = await this.#keyOf(neighbour);
    return found && sealedText({ place, ...found }, value);
  }

  /**
   * What was sealed; undefined when its key is gone, and it is forgotten.
   *
   * @param text as SQL's `withKey` or `attachKeys` give it: sealed text, name of the master key, wrapped key, with a space between
   * @throws UnknownKeyError; NoMasterKeyError; Error when it was changed, or lay elsewhere
   */
  async open(place: string, text: string): Promise<unknown> {
    const found = await this.#keyOf(text);
    if (!found) return undefined;
    const { id, key } = found;
    const [sealed = ""] = text.split(" ", 1);
    // biome-ignore lint/plugin/json: what we sealed ourselves
    return JSON.parse(open(Buffer.from(sealed.slice(idLength), "base64"), key, associated(place, id)).toString());
  }

  /** The key behind a sealed text; undefined when it is gone. */
  async #keyOf(text: string): Promise<{ readonly id: string; readonly key: KeyObject } | undefined> {
    const [sealed = "", master = "", wrapped = ""] = text.split(" ");
    if (master === "") return undefined;
    if (!this.keys) throw new NoMasterKeyError();
    const id = sealed.slice(0, idLength);
    const key = this.#unwrapped.get(wrapped) ?? createSecretKey(await this.keys.unwrap({ master, wrapped }, id));
    this.#remember(wrapped, key);
    return { id, key };
  }

  #remember(wrapped: string, key: KeyObject): void {
    if (this.#unwrapped.has(wrapped)) return;
    const [oldest] = this.#unwrapped.size < remembered ? [] : this.#unwrapped.keys();
    if (oldest !== undefined) this.#unwrapped.delete(oldest);
    this.#unwrapped.set(wrapped, key);
  }

  /** A value as it is to lie in a `jsonb` column: sealed as text, or as it is. */
  async protect<T extends object>(place: string, value: T): Promise<Protected<T>> {
    if (!this.seals) return { stored: value, key: undefined };
    const { text, key } = await this.seal(place, value);
    return { stored: text, key };
  }

  /** The reverse, from SQL's `jsonWithKey`: undefined when the key is gone. */
  async reveal<T extends object>(place: string, stored: T | string): Promise<T | undefined> {
    return typeof stored === "string" ? ((await this.open(place, stored)) as T | undefined) : stored;
  }
}

/** How a value lies that may be sealed, and the key that is to be written with it when it is. */
export interface Protected<T> {
  readonly stored: T | string;
  readonly key: PersonalKeyRow | undefined;
}

/** Without master keys: everything is written and read as it is. */
export const plainPersonalData = new PersonalData({ keys: undefined, seals: false });

function sealedText({ place, id, key }: { place: string; id: string; key: KeyObject }, value: unknown): string {
  const [iv] = newIvs(1) as [Buffer];
  return (
    id + seal(Buffer.from(JSON.stringify(value)), { key, iv, associated: associated(place, id) }).toString("base64")
  );
}

function associated(place: string, id: string): Buffer {
  return Buffer.from([format, "value", place, id].join("\0"));
}
