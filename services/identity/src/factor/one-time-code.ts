import { Secret, TOTP } from "otpauth";

/** What every app can do: RFC 6238 with its own defaults. */
const form = { algorithm: "SHA1", digits: 6, period: 30 } as const;
/** Codes of so many steps before and after now are taken as well: RFC 6238, section 5.2, wants one at most. */
const window = 1;

/** A new secret, in base32: 160 bits, as RFC 4226 recommends. */
export function newSecretOfCodes(): string {
  return new Secret({ size: 20 }).base32;
}

/**
 * What an app is shown.
 *
 * @param issuer who we are, as the app writes it
 * @param label whose it is, as the app writes it
 */
export function uriOf(secret: string, { issuer, label }: { issuer: string; label: string }): string {
  return new TOTP({ ...form, issuer, label, secret }).toString();
}

/** Which half minute a code is of, in half minutes since 1970; undefined when it is none around `nowMs`. */
export function stepOf(secret: string, code: string, nowMs: number): number | undefined {
  const given = { ...form, secret: Secret.fromBase32(secret), token: code, window, timestamp: nowMs };
  const delta = TOTP.validate(given);
  return delta === null ? undefined : TOTP.counter({ period: form.period, timestamp: nowMs }) + delta;
}
