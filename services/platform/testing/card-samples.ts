// Card numbers for tests: of every scheme, and in the ways in which people write them.
import { passesLuhn } from "#platform/redact/card-number.ts";

/** Numbers that are the same in every run (mulberry32), so that a failure can be seen again. */
export function numbersFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below) | 0;
  };
}

/** First digits and lengths, as the schemes publish them. */
const brands: readonly [string, readonly string[], readonly number[]][] = [
  ["Visa", ["4"], [13, 16, 19]],
  ["Mastercard", ["51", "52", "53", "54", "55", "2221", "2345", "2720"], [16]],
  ["American Express", ["34", "37"], [15]],
  ["Discover", ["6011", "644", "649", "65"], [16, 17, 18, 19]],
  ["Diners Club", ["300", "305", "3095", "36", "38", "39"], [14, 16, 19]],
  ["JCB", ["3528", "3589"], [16, 17, 18, 19]],
  ["UnionPay", ["62"], [16, 17, 18, 19]],
  ["Maestro", ["5018", "5020", "5038", "5893", "6304", "6759", "6761"], [12, 13, 14, 15, 16, 17, 18, 19]],
  ["Mir", ["2200", "2204"], [16, 17, 18, 19]],
  ["RuPay", ["60", "65", "81", "82", "508"], [16]],
  ["Elo, Hipercard", ["506699", "636368", "606282"], [16]],
  ["Verve", ["506099", "650002"], [16, 18, 19]],
  ["Troy, UzCard, Humo, UATP", ["9792", "8600", "9860"], [16]],
];
/** What stands between the groups of a number, and how long these are. */
export const separators = ["", " ", "-", ".", "/", "_", "\u00a0", "\u2009", "\u2013", "  ", " - ".trim(), "·"];
export const groupings = [
  [4, 4, 4, 4, 4],
  [4, 6, 5, 4],
  [6, 13],
  Array<number>(19).fill(1),
  [2, 2, 2, 2, 2, 2, 2, 2, 2, 1],
];

/** One of a list. */
export function pick<T>(list: readonly T[], next: (below: number) => number): T {
  return list[next(list.length)] as T;
}

/** A card number of any scheme, digits only. */
export function cardOf(next: (below: number) => number): string {
  const [, prefixes, lengths] = pick(brands, next);
  const length = pick(lengths, next);
  let digits = pick(prefixes, next);
  while (digits.length < length - 1) digits += next(10);
  return digits + [..."0123456789"].find((check) => passesLuhn(digits + check));
}

/** A number in groups of these sizes. */
export function grouped(digits: string, sizes: readonly number[], separator: string): string {
  const parts: string[] = [];
  for (let at = 0, i = 0; at < digits.length; at += sizes[i++] ?? 4) parts.push(digits.slice(at, at + (sizes[i] ?? 4)));
  return parts.join(separator);
}

/** The same in digits of full width. */
export function wide(text: string): string {
  return text.replace(/\d/g, (digit) => String.fromCharCode(0xff10 + Number(digit)));
}
