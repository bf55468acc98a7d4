import { randomFillSync } from "node:crypto";

/** Crockford's base32: no I, L, O, U. */
const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const textLength = 26;
const pattern = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/;
const values = new Map([...alphabet].map((letter, index) => [letter, BigInt(index)]));

/** The first two bytes hold the bucket of random ids too: they are random then. */
const pool = Buffer.alloc(8_192);
let used = pool.length;

/**
 * A new id as text: 48 bits of milliseconds, 16 bits of bucket, 64 random bits. Ids sort by time.
 *
 * @param bucket 0 to 65,535: where the row lives when the database is spread out; random when it is not given
 */
export function newId(bucket?: number): string {
  if (used + 10 > pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  const high = BigInt(bucket ?? pool.readUInt16BE(used));
  const low = pool.readBigUInt64BE(used + 2);
  used += 10;
  return toText((BigInt(Date.now()) << 80n) | (high << 64n) | low);
}

/** The bucket that an id carries. */
export function bucketOf(text: string): number {
  return Number((toNumber(text) >> 64n) & 0xffffn);
}

/** When an id was made. */
export function timeOf(text: string): Date {
  return new Date(Number(toNumber(text) >> 80n));
}

/** Whether a text is an id: 26 characters of Crockford base32, upper case, at most 128 bits. */
export function isId(text: string): boolean {
  return pattern.test(text);
}

/** The text of a `uuid` column, with or without dashes. */
export function encodeId(uuid: string): string {
  return toText(BigInt(`0x${uuid.replaceAll("-", "")}`));
}

/** The `uuid` of an id. @throws RangeError when the text is not an id */
export function decodeId(text: string): string {
  const hex = toNumber(text).toString(16).padStart(32, "0");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

function toText(id: bigint): string {
  let rest = id;
  let text = "";
  for (let index = 0; index < textLength; index += 1) {
    text = alphabet.charAt(Number(rest & 31n)) + text;
    rest >>= 5n;
  }
  return text;
}

function toNumber(text: string): bigint {
  if (!isId(text)) throw new RangeError(`"${text}" is not an id: 26 characters of Crockford base32`);
  let id = 0n;
  for (const letter of text) id = (id << 5n) | (values.get(letter) ?? 0n);
  return id;
}
