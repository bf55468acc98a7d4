import type { KeyRing, KeyUse } from "#platform/key-ring.ts";
import { newIvs, open, seal } from "#platform/sealing.ts";

/** What the master keys are for. */
export const masterKeys: KeyUse = { setting: "PERSONAL_DATA_KEYS", sealed: "the key of a person" };

/** Says what the rest of the associated data is. */
const format = "ordermesh person 1";

/** A key of a person as it lies in the database. */
export interface WrappedKey {
  /** What the master key is called that wrapped it. */
  readonly master: string;
  /** In base64; of a key service with more behind it. Without a space. */
  readonly wrapped: string;
}

/**
 * Wraps the keys of persons by a master key that is in no database and in none of its backups: here by the keys of a file. A key service
 * (Vault's transit, KMS) is another class of this form.
 */
export interface KeyProvider {
  /** What the master key is called that wraps now. */
  readonly current: string;
  /** What those are called that only unwrap any more. */
  readonly former: readonly string[];
  /** @param id what the key is called; under another one it does not open */
  wrap(key: Buffer, id: string): Promise<WrappedKey>;
  /** @throws UnknownKeyError; Error when it was changed, or is another one's */
  unwrap(wrapped: WrappedKey, id: string): Promise<Buffer>;
}

/** The master keys of a file: the last one wraps, all unwrap. */
export class FileKeys implements KeyProvider {
  readonly #ring: KeyRing;

  constructor(ring: KeyRing) {
    this.#ring = ring;
  }

  get current(): string {
    return this.#ring.newest.id;
  }

  get former(): readonly string[] {
    return this.#ring.ids.filter((id) => id !== this.current);
  }

  async wrap(plain: Buffer, id: string): Promise<WrappedKey> {
    const { id: master, key } = this.#ring.newest;
    const [iv] = newIvs(1) as [Buffer];
    return { master, wrapped: seal(plain, { key, iv, associated: associatedKey(master, id) }).toString("base64") };
  }

  async unwrap({ master, wrapped }: WrappedKey, id: string): Promise<Buffer> {
    return open(Buffer.from(wrapped, "base64"), this.#ring.get(master), associatedKey(master, id));
  }
}

/** What has to be the same when a key is unwrapped: which one it is, and whose master key wrapped it. */
export function associatedKey(master: string, id: string): Buffer {
  return Buffer.from([format, "key", master, id].join("\0"));
}
