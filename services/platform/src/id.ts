import { randomBytes } from "#platform/random-bytes.ts";

/** Crockford's base32: no I, L, O, U. */
const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const textLength = 26;
const pattern = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/;
/** Five bits by character code. */
const bitsOf = Uint8Array.from({ length: 128 }, (_, code) => Math.max(0, alphabet.indexOf(String.fromCharCode(code))));

/** The 16 bytes that are converted at the moment: ids are made and read by the thousand, without garbage. */
const bytes = Buffer.alloc(16);

/**
 * A new id as text: 48 bits of milliseconds, 16 bits of bucket, 64 random bits. Ids sort by time.
 *
 * @param bucket 0 to 65,535: where the row lives when the database is spread out; random when it is not given
 * @param ms when it was, since 1970: of what is older than its row
 */
export function newId(bucket?: number, ms = Date.now()): string {
  bytes.writeUIntBE(ms, 0, 6);
  bytes.set(randomBytes(10), 6);
  if (bucket !== undefined) bytes.writeUInt16BE(bucket, 6);
  return toText();
}

/** The bucket that an id carries. */
export function bucketOf(text: string): number {
  readText(text);
  return bytes.readUInt16BE(6);
}

/** When an id was made. */
export function timeOf(text: string): Date {
  readText(text);
  return new Date(bytes.readUIntBE(0, 6));
}

/** Whether a text is an id: 26 characters of Crockford base32, upper case, at most 128 bits. */
export function isId(text: string): boolean {
  return pattern.test(text);
}

/** The text of a `uuid` column, with or without dashes. */
export function encodeId(uuid: string): string {
  const written = bytes.write(uuid.replaceAll("-", ""), "hex");
  if (written !== bytes.length) throw new RangeError(`"${uuid}" is not a uuid`);
  return toText();
}

/** The `uuid` of an id. @throws RangeError when the text is not an id */
export function decodeId(text: string): string {
  readText(text);
  const hex = bytes.toString("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** 26 characters hold 130 bits: the first one carries three of the 128. */
function toText(): string {
  let text = "";
  let held = 0;
  let bits = 2;
  for (const byte of bytes) {
    held = (held << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += alphabet.charAt((held >> bits) & 31);
    }
    held &= (1 << bits) - 1;
  }
  return text;
}

function readText(text: string): void {
  if (!isId(text)) throw new RangeError(`"${text}" is not an id: 26 characters of Crockford base32`);
  let held = bitsOf[text.charCodeAt(0)] ?? 0;
  let bits = 3;
  let at = 0;
  for (let index = 1; index < textLength; index += 1) {
    held = (held << 5) | (bitsOf[text.charCodeAt(index)] ?? 0);
    bits += 5;
    if (bits < 8) continue;
    bits -= 8;
    bytes[at] = held >> bits;
    held &= (1 << bits) - 1;
    at += 1;
  }
}
