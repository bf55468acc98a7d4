import { createCipheriv, createDecipheriv, type KeyObject, randomBytes } from "node:crypto";
import type { Payload, PayloadCodec } from "@temporalio/common";
import type { KeyRing } from "./key-ring.ts";
import { payloadFromBytes, payloadToBytes } from "./payload-wire.ts";

/** What the metadata of an encrypted payload says, as in Temporal's samples, so that their tools know it. */
const encoding = Buffer.from("binary/encrypted");
const ivBytes = 12;
const tagBytes = 16;
/** Says what the rest of the associated data is. */
const format = "ordermesh payload 1";

function isEncrypted({ metadata }: Payload): boolean {
  const said = metadata?.encoding;
  return said != null && encoding.equals(said);
}

/** Encrypts whatever Temporal is to keep. What is not encrypted, as of the versions before, is read as it is. */
export class EncryptingCodec implements PayloadCodec {
  readonly #keys: KeyRing;
  readonly #namespace: string;

  /** @param namespace what is encrypted for one is not read in another */
  constructor(keys: KeyRing, namespace: string) {
    this.#keys = keys;
    this.#namespace = namespace;
  }

  async encode(payloads: Payload[]): Promise<Payload[]> {
    if (payloads.length === 0) return payloads;
    const { id, key } = this.#keys.newest;
    const metadata = { encoding, "encryption-key-id": Buffer.from(id) };
    const associated = this.#associated(id);
    const ivs = randomBytes(ivBytes * payloads.length);
    return payloads.map((payload, index) => {
      const iv = ivs.subarray(index * ivBytes, (index + 1) * ivBytes);
      return { metadata, data: seal(payloadToBytes(payload), { key, iv, associated }) };
    });
  }

  /** @throws UnknownKeyError; Error when a payload was changed, or encrypted for another namespace */
  async decode(payloads: Payload[]): Promise<Payload[]> {
    return payloads.map((payload) => (isEncrypted(payload) ? this.#open(payload) : payload));
  }

  #open({ metadata, data }: Payload): Payload {
    const id = Buffer.from(metadata?.["encryption-key-id"] ?? []).toString();
    const key = this.#keys.get(id);
    try {
      return payloadFromBytes(open(data ?? new Uint8Array(), key, this.#associated(id)));
    } catch (cause) {
      throw new Error(
        `a payload of the key "${id}" cannot be decrypted: it was changed, or it is of another namespace than ${this.#namespace}`,
        { cause },
      );
    }
  }

  #associated(id: string): Buffer {
    return Buffer.from([format, id, this.#namespace].join("\0"));
  }
}

interface Sealing {
  readonly key: KeyObject;
  readonly iv: Buffer;
  readonly associated: Buffer;
}

/** IV, ciphertext and tag in a row. */
function seal(plain: Uint8Array, { key, iv, associated }: Sealing): Buffer {
  const cipher = createCipheriv("aes-256-gcm", key, iv, { authTagLength: tagBytes });
  cipher.setAAD(associated);
  const sealed = cipher.update(plain);
  cipher.final();
  return Buffer.concat([iv, sealed, cipher.getAuthTag()]);
}

function open(sealed: Uint8Array, key: KeyObject, associated: Buffer): Buffer {
  const decipher = createDecipheriv("aes-256-gcm", key, sealed.subarray(0, ivBytes), { authTagLength: tagBytes });
  decipher.setAAD(associated);
  decipher.setAuthTag(sealed.subarray(-tagBytes));
  const plain = decipher.update(sealed.subarray(ivBytes, -tagBytes));
  decipher.final();
  return plain;
}
