import { createSecretKey, type KeyObject } from "node:crypto";
import { z } from "zod";
import type { Secret } from "./secret.ts";

/** What a key is called. */
const idPattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
/** AES-256. */
const keyBytes = 32;

/** A key and what it is called. */
export interface NamedKey {
  readonly id: string;
  readonly key: KeyObject;
}

/** What keys are for, in the words of an error. */
export interface KeyUse {
  /** The setting that holds them. */
  readonly setting: string;
  /** One of the things that are encrypted with them: "a payload". */
  readonly sealed: string;
}

/** Nobody who holds the keys of today knows the key that something was encrypted with. */
export class UnknownKeyError extends Error {
  override readonly name = "UnknownKeyError";

  constructor(id: string, known: readonly string[], { setting, sealed }: KeyUse) {
    super(
      `${sealed} was encrypted with the key "${id}", which ${setting} has not: it has ${known.join(", ")}; ` +
        "put the key back and this goes on by itself",
    );
  }
}

/** The keys of a text, one a line: what it is called, a space, and 32 bytes in base64. @throws RangeError without any key */
export function readKeys(text: string): readonly NamedKey[] {
  const lines = text.split(/\r?\n/).map((line) => line.trim());
  const keys = lines.flatMap((line, index) => (line === "" || line.startsWith("#") ? [] : [readKey(line, index + 1)]));
  if (keys.length === 0) throw new RangeError("holds no key");
  const twice = keys.find(({ id }, index) => keys.findIndex((key) => key.id === id) !== index);
  if (twice) throw new RangeError(`has two keys that are called ${twice.id}`);
  return keys;
}

function readKey(line: string, number: number): NamedKey {
  const [id = "", text = "", ...more] = line.split(/\s+/);
  const bytes = Buffer.from(text, "base64");
  const isWhole = bytes.length === keyBytes && bytes.toString("base64").replace(/=+$/, "") === text.replace(/=+$/, "");
  if (!idPattern.test(id) || !isWhole || more.length > 0) {
    throw new RangeError(`has in line ${number} no key: that is a name, a space, and 32 bytes in base64`);
  }
  return { id, key: createSecretKey(bytes) };
}

/** The rule of a setting that holds keys. */
export const keysText = z.string().superRefine((text, context) => {
  try {
    readKeys(text);
  } catch (error) {
    context.addIssue({ code: "custom", message: (error as Error).message });
  }
});

/** The keys of a secret, as it is now: the last one encrypts, all decrypt. */
export class KeyRing {
  readonly #secret: Secret;
  readonly #use: KeyUse;
  #text = "";
  #keys: ReadonlyMap<string, NamedKey> = new Map();
  #newest: NamedKey | undefined;

  /** @param secret as {@link keysText} wants it */
  constructor(secret: Secret, use: KeyUse) {
    this.#secret = secret;
    this.#use = use;
  }

  /** What all of them are called, the one that encrypts last. */
  get ids(): readonly string[] {
    this.#refresh();
    return [...this.#keys.keys()];
  }

  /** The key that encrypts. */
  get newest(): NamedKey {
    this.#refresh();
    // The rule of the setting lets no text pass without a key.
    return this.#newest as NamedKey;
  }

  /** A key by what it is called; one that is not known is looked for in the file. @throws UnknownKeyError */
  get(id: string): KeyObject {
    this.#refresh();
    const known = this.#keys.get(id)?.key;
    if (known) return known;
    this.#look();
    const found = this.#keys.get(id)?.key;
    if (!found) throw new UnknownKeyError(id, [...this.#keys.keys()], this.#use);
    return found;
  }

  /** Another replica may have read the file a moment earlier. What is wrong with it is told by who reads it again and again. */
  #look(): void {
    try {
      this.#secret.look();
    } catch {
      return;
    }
    this.#refresh();
  }

  #refresh(): void {
    const { text } = this.#secret;
    if (text === this.#text) return;
    const keys = readKeys(text);
    this.#text = text;
    this.#keys = new Map(keys.map((key) => [key.id, key]));
    this.#newest = keys.at(-1);
  }
}
