import { hash, randomBytes } from "node:crypto";

/** How many somebody is given. */
export const recoveryCodes = 10;
/** Of Crockford's base32, each five bits: letters and digits that are not taken for each other. */
const letters = "0123456789abcdefghjkmnpqrstvwxyz";
/** 120 bits: from 112 on a plain hash may be kept, NIST SP 800-63B-4, section 3.1.2.2. */
const length = 24;
const groups = /.{4}(?!$)/g;

/** A new one: six groups of four. */
export function newRecoveryCode(): string {
  const code = Array.from(randomBytes(length), (byte) => letters[byte & 31]).join("");
  return code.replace(groups, "$&-");
}

/** What is kept of it, however somebody types it: capitals, blanks and dashes make no difference. */
export function recoveryHash(code: string): Buffer {
  return hash("sha256", code.replace(/[\s-]/g, "").toLowerCase(), "buffer");
}
