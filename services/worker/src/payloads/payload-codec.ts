import type { Payload, PayloadCodec } from "@temporalio/common";
import type { KeyRing, KeyUse } from "#platform/key-ring.ts";
import { newIvs, open, seal } from "#platform/sealing.ts";
import { payloadFromBytes, payloadToBytes } from "./payload-wire.ts";

/** What the metadata of an encrypted payload says, as in Temporal's samples, so that their tools know it. */
const encoding = Buffer.from("binary/encrypted");
/** Says what the rest of the associated data is. */
const format = "ordermesh payload 1";

/** What the keys are for. */
export const payloadKeys: KeyUse = { setting: "TEMPORAL_CODEC_KEYS", sealed: "a payload" };

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
    const ivs = newIvs(payloads.length);
    return payloads.map((payload, index) => {
      const iv = ivs[index] as Buffer;
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
