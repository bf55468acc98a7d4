import { createCipheriv, createDecipheriv, type KeyObject } from "node:crypto";
import { randomBytes } from "#platform/random-bytes.ts";

const algorithm = "aes-256-gcm";
const ivBytes = 12;
const tagBytes = 16;

/** What something is encrypted with. */
export interface Sealing {
  /** 32 bytes. No buffer: Node takes five times as long with one, 17 µs, for it asks first whether it is a key object. */
  readonly key: KeyObject;
  /** 12 bytes, never twice with the same key: {@link newIvs}. */
  readonly iv: Buffer;
  /** What has to be the same when it is opened. */
  readonly associated: Buffer;
}

/** So many new initialization vectors, by one call for chance. */
export function newIvs(count: number): Buffer[] {
  const bytes = randomBytes(ivBytes * count);
  return Array.from({ length: count }, (_, index) => bytes.subarray(index * ivBytes, (index + 1) * ivBytes));
}

/** Encrypts with AES-256-GCM: IV, ciphertext and tag in a row. */
export function seal(plain: Uint8Array, { key, iv, associated }: Sealing): Buffer {
  const cipher = createCipheriv(algorithm, key, iv, { authTagLength: tagBytes });
  cipher.setAAD(associated);
  const sealed = cipher.update(plain);
  cipher.final();
  return Buffer.concat([iv, sealed, cipher.getAuthTag()]);
}

/** Decrypts what {@link seal} made. @throws Error when it was changed, or belongs to another key or other associated data */
export function open(sealed: Uint8Array, key: KeyObject, associated: Buffer): Buffer {
  const decipher = createDecipheriv(algorithm, key, sealed.subarray(0, ivBytes), { authTagLength: tagBytes });
  decipher.setAAD(associated);
  decipher.setAuthTag(sealed.subarray(-tagBytes));
  const plain = decipher.update(sealed.subarray(ivBytes, -tagBytes));
  decipher.final();
  return plain;
}
