/**
 * Between two digits of a card number as people write it: up to two of space (also the non-breaking and narrow ones),
 * hyphen (all of Unicode's dashes), dot, slash, underscore, middle dot, asterisk.
 */
const gap = "[\\s\\u2000-\\u200d\\u2060\\u2010-\\u2015\\u2212\\uff0d\\u00b7._/*-]{0,2}";

/** A digit, also in the full width in which Japanese, Chinese and Korean keyboards write it. */
const digit = "[\\d\\uff10-\\uff19]";

/** Source of a regular expression for anything long enough to be a card number, separators included. */
export const cardCandidate = `${digit}(?:${gap}${digit}){11,}`;

/** Shortest and longest card number (ISO/IEC 7812-1). */
const shortest = 12;
const longest = 19;

/**
 * First digits and lengths of the card schemes, as their public rules have them. Wider than each scheme's present
 * ranges on purpose, but not so wide that a time in milliseconds (13 digits, beginning with 1) could be one.
 */
const schemes: readonly { readonly begins: RegExp; readonly lengths: readonly number[] }[] = [
  // Visa, Mastercard (old range), Discover, UnionPay, Maestro, JCB, RuPay, Elo, Verve, Hipercard, InstaPayment …
  { begins: /^[3456]/, lengths: [13, 14, 15, 16, 17, 18, 19] },
  // Maestro alone has twelve digits.
  { begins: /^(?:50|5[6-9]|6)/, lengths: [12] },
  // Mastercard's second range, Mir, Borica.
  { begins: /^2(?:20[0-5]|2[2-9]|[3-6]|7[01]|720)/, lengths: [16, 17, 18, 19] },
  // UATP; GPN.
  { begins: /^1/, lengths: [15] },
  { begins: /^1946/, lengths: [16] },
  // RuPay, UzCard, Humo, Troy.
  { begins: /^(?:8[12]|86|98|979)/, lengths: [16] },
];

/** Whether the check digit is right (Luhn, ISO/IEC 7812-1 annex B). */
export function passesLuhn(digits: string): boolean {
  let sum = 0;
  for (let i = digits.length - 1, double = false; i >= 0; i--, double = !double) {
    const digit = digits.charCodeAt(i) - 48;
    sum += double ? (digit > 4 ? digit * 2 - 9 : digit * 2) : digit;
  }
  return sum % 10 === 0;
}

/** Whether digits without separators are the number of a payment card: scheme, length and check digit fit. */
export function isCardNumber(digits: string): boolean {
  return (
    digits.length >= shortest &&
    digits.length <= longest &&
    schemes.some(({ begins, lengths }) => lengths.includes(digits.length) && begins.test(digits)) &&
    passesLuhn(digits)
  );
}

/** How cards are embossed: groups of four (the last may be shorter or longer), American Express, Diners Club. */
const embossed = /^(?:4(?:,4)+(?:,[1-7])?|4,6,5|4,6,4|6,13|8,8)$/;

interface Group {
  readonly digits: string;
  readonly start: number;
  readonly end: number;
}

/**
 * Replaces the card numbers in a text that `cardCandidate` found. A text that is a card number as a whole is one however
 * it is grouped; inside a longer row of numbers only groups as on a card count, so that a list of amounts stays.
 */
export function hideCards(candidate: string, replacement: string): string {
  const plain = candidate.replace(/[\uff10-\uff19]/g, (wide) => String(wide.charCodeAt(0) - 0xff10));
  if (isCardNumber(plain.replace(/\D/g, ""))) return replacement;
  const groups: Group[] = [...plain.matchAll(/\d+/g)].map((match) => ({
    digits: match[0],
    start: match.index,
    end: match.index + match[0].length,
  }));
  let result = "";
  let kept = 0;
  for (let first = 0; first < groups.length; first++) {
    const last = endOfCard(groups, first);
    if (last === undefined) continue;
    result += candidate.slice(kept, groups[first]?.start) + replacement;
    kept = groups[last]?.end ?? kept;
    first = last;
  }
  return result + candidate.slice(kept);
}

/** The last group of a card number that begins with group `first`. */
function endOfCard(groups: readonly Group[], first: number): number | undefined {
  let digits = "";
  const lengths: number[] = [];
  for (let last = first; last < groups.length && digits.length <= longest; last++) {
    const group = groups[last]?.digits ?? "";
    digits += group;
    lengths.push(group.length);
    if (digits.length < shortest) continue;
    if ((last === first || embossed.test(lengths.join(","))) && isCardNumber(digits)) return last;
  }
  return undefined;
}
