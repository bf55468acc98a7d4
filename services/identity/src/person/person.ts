import { hash } from "node:crypto";

/** Somebody who logs in. Personal data: kept out of logs and traces. */
export interface Person {
  readonly personId: string;
  readonly email: string;
  /** As `Role` of the contract names them, in small letters. */
  readonly roles: readonly string[];
  readonly createTime: Date;
  readonly updateTime: Date;
  /** Whether a code is wanted besides the password. */
  readonly secondFactor: boolean;
}

/** What everybody begins with. */
export const firstRoles: readonly string[] = ["customer"];

/** An address as it is compared: two that differ in case, or in how Unicode writes the same letters, are the same. */
export function normalized(email: string): string {
  return email.normalize("NFKC").trim().toLowerCase();
}

/** What is kept of an address for which passwords are tried: it may be nobody's. */
export function emailHash(email: string): Buffer {
  return hash("sha256", normalized(email), "buffer");
}
