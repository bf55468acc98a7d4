import { type Timestamp, timestampFromMs } from "@bufbuild/protobuf/wkt";

/** What the audit log says of an effect besides who and when. */
export type Details = Readonly<Record<string, string>>;

/** An amount that the details say in minor units of their currency; undefined where they say none. */
export function moneyIn(details: Details, name: string): { currency: string; amount: bigint } | undefined {
  const { currency } = details;
  const amount = wholeIn(details, name);
  return currency === undefined || amount === undefined ? undefined : { currency, amount };
}

/** A whole number that the details say; undefined where they say none. */
export function wholeIn(details: Details, name: string): bigint | undefined {
  const text = details[name];
  return text !== undefined && /^-?\d{1,18}$/.test(text) ? BigInt(text) : undefined;
}

/** The same, of what is never large; 0 where they say none. */
export function countIn(details: Details, name: string): number {
  return Number(wholeIn(details, name) ?? 0n);
}

/** A time that the details say in ISO 8601; undefined where they say none. */
export function timeIn(details: Details, name: string): Timestamp | undefined {
  const ms = Date.parse(details[name] ?? "");
  return Number.isNaN(ms) ? undefined : timestampFromMs(ms);
}

/** The value of an enum that a text of ours names in small letters; 0, which is UNSPECIFIED, for none and for what it does not have. */
export function valueNamed<E extends Readonly<Record<string, string | number>>>(
  names: E,
  text: string | undefined,
): E[keyof E] & number {
  return (names[text?.toUpperCase() ?? ""] ?? 0) as E[keyof E] & number;
}
