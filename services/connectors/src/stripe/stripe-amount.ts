// How Stripe counts money, as far as that is not how ISO 4217 counts it. Sources: Stripe's page on currencies, 2026-11.

/** Stripe takes these with two digits more than ISO 4217 has, both of them 0. */
const withMoreDigits: ReadonlySet<string> = new Set(["ISK", "UGX"]);
/** Stripe takes these in whole units, where ISO 4217 has two digits. */
const withoutDigits: ReadonlySet<string> = new Set(["MGA"]);
/** Of three digits, the last one has to be 0. */
const withRoundDigit: ReadonlySet<string> = new Set(["BHD", "JOD", "KWD", "OMR", "TND"]);

/** What most cards can be charged at most, as Stripe counts. */
const largest = 999_999_999_999n;

/** The smallest charge of a currency in which an account is paid out, in minor units of ISO 4217. */
export const smallestCharges: Readonly<Record<string, bigint>> = {
  AED: 200n,
  AUD: 50n,
  BRL: 50n,
  CAD: 50n,
  CHF: 50n,
  CZK: 1_500n,
  DKK: 250n,
  EUR: 50n,
  GBP: 30n,
  HKD: 400n,
  HUF: 17_500n,
  INR: 50n,
  JPY: 50n,
  MXN: 1_000n,
  MYR: 200n,
  NOK: 300n,
  NZD: 50n,
  PLN: 200n,
  RON: 200n,
  SEK: 300n,
  SGD: 50n,
  THB: 1_000n,
  USD: 50n,
};

/**
 * An amount as Stripe counts it; undefined where it cannot say it.
 *
 * @param amount minor units of ISO 4217
 */
export function toStripeAmount(currency: string, amount: bigint): number | undefined {
  const counted = countedOf(currency, amount);
  return counted === undefined || counted > largest ? undefined : Number(counted);
}

/** An amount of Stripe's in minor units of ISO 4217. */
export function fromStripeAmount(currency: string, amount: number): bigint {
  const counted = BigInt(amount);
  if (withMoreDigits.has(currency)) return counted / 100n;
  return withoutDigits.has(currency) ? counted * 100n : counted;
}

function countedOf(currency: string, amount: bigint): bigint | undefined {
  if (withMoreDigits.has(currency)) return amount * 100n;
  if (withoutDigits.has(currency)) return amount % 100n === 0n ? amount / 100n : undefined;
  return withRoundDigit.has(currency) && amount % 10n !== 0n ? undefined : amount;
}
