import { cardCandidate, hideCards } from "./card-number.ts";

/** What stands in the place of something that must not be in a log. */
export const redacted = "[redacted]";
const redactedCard = "[card number]";
const redactedEmail = "[e-mail]";
const redactedPhone = "[phone]";
const redactedAddress = "[address]";

/** Longest text that is looked at and kept, in characters; longer texts are cut. */
export const longestText = 16_384;

/** What every rule below needs to match at all; a text without it is left alone after one look. */
const worthALook =
  /[\d\uff10-\uff19](?:[^\p{L}\d]{0,2}[\d\uff10-\uff19]){6}|[@+]|eyJ|\b(?:tok|pm|sk|rk|whsec)_|cvv|cvc|csc|cv2|security|verification|bearer|basic|digest|api.?key|passw|secret|token|authorization|:\/\/|phone|tel|mobile|fax|\d[a-z]?\s+\p{Lu}|\p{L}\.?\s\d/iu;

/** Ids and names as most fields hold them, alone. They would pass every rule, one after the other. */
const plainly =
  /^(?:[a-z]{1,64}|(?=\d*[a-f])[0-9a-f]{16}|[0-9a-f]{32}|(?=\d*[a-z])[0-9a-hjkmnp-tv-z]{26}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/i;

/** Digits that are no card number because of what is around them are matched first and kept. */
const numbers = new RegExp(
  [
    "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", // UUID
    "(?<![0-9a-z])[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(?![0-9a-z])", // traceparent
    "(?<![0-9a-z])(?=\\d*[a-f])[0-9a-f]{16}(?![0-9a-z])", // span id, with a letter
    "(?<![0-9a-z])[0-9a-f]{32}(?![0-9a-z])", // trace id
    "(?<![0-9a-z])(?=\\d*[a-z])[0-9a-hjkmnp-tv-z]{26}(?![0-9a-z])", // order id
    "(?<![0-9a-z])(?=\\d*[a-f])[0-9a-f]{40,128}(?![0-9a-z])", // hash
    "(?<!\\d)\\d{4}-\\d\\d-\\d\\d[T ]\\d\\d:\\d\\d:\\d\\d(?:[.,]\\d{1,9})?", // time
    "(?<!\\d)\\d{1,3}(?:\\.\\d{1,3}){3}(?::\\d{1,5})?(?![\\d.])", // IPv4 address
    `(${cardCandidate})`,
  ].join("|"),
  "giu",
);

/** Fewer characters hold no card number. */
const shortestCard = 12;
const mayHoldCard = new RegExp(cardCandidate);

/** Rules for everything but card numbers: pattern and replacement, in this order. */
const rules: readonly (readonly [RegExp, string])[] = [
  [/\b(bearer|basic|digest|apikey)\s+[\w.~+/=-]{6,}/gi, `$1 ${redacted}`],
  // biome-ignore lint/plugin/regex: each part begins with a point, which none has inside
  [/\beyJ[\w-]{6,}\.[\w-]+(?:\.[\w-]*)*/g, redacted],
  [/\b(?:tok|pm|sk|rk|whsec)_[a-z\d_]+/gi, redacted],
  [/(:\/\/)[^\s/@:]{0,256}:[^\s/@]{1,256}@/g, `$1${redacted}@`],
  [
    /\b((?:[a-z]{1,32}[_-]?)?(?:password|passwd|secret|token|api[_-]?key|authorization))(["']?\s?[=:]\s?["']?)(?!\[)[^\s"',;&)}\]]{4,}/gi,
    `$1$2${redacted}`,
  ],
  [/\b(pass(?:word|phrase|wd)\s(?:is|was)\s)[^\s,;]+/gi, `$1${redacted}`],
  [
    /\b(cvv2?|cvc2?|csc|cv2|security[ _-]?code|card[ _-]?verification)(\W{0,3}(?:is|was|code|value|number)?\W{0,4})\d{3,4}(?!\d)/gi,
    `$1$2${redacted}`,
  ],
  [/[\p{L}\p{N}._%+'-]{1,64}@[\p{L}\p{N}-]{1,63}(?:\.[\p{L}\p{N}-]{1,63}){0,7}\.\p{L}{2,63}/gu, redactedEmail],
  [/(?<![\w+])(?:\+[1-9]|(?<!\w-)00[1-9]\d{0,2}[\s/-])(?:[\s()./-]{0,2}\d){6,14}(?!\d)/g, redactedPhone],
  [/(?<![\w(])\(\d{3}\)\s?\d{3}[\s.-]?\d{4}(?!\d)|(?<![\w.-])\d{3}[-.]\d{3}[-.]\d{4}(?![\w.-])/g, redactedPhone],
  [/\b((?:phone|tel|mobile|fax)\.?\s?[=:]?\s?)\d(?:[\s()./-]{0,2}\d){5,14}(?!\d)/gi, `$1${redactedPhone}`],
  [
    /\b\d{1,5}[a-z]?\s+(?:\p{Lu}[\p{L}'.-]{0,30}\s+){1,4}(?:Street|St|Avenue|Ave|Road|Rd|Lane|Ln|Boulevard|Blvd|Drive|Dr|Square|Court|Terrace)\b\.?/gu,
    redactedAddress,
  ],
  [/\p{Lu}[\p{L}-]{1,40}(?:straße|strasse|str\.|weg|platz|allee|gasse|damm)\s\d{1,4}\s?[a-z]?\b/gu, redactedAddress],
];

/**
 * A text without card numbers, verification codes, tokens, passwords, e-mail addresses, phone numbers and street
 * addresses, and not longer than 16,384 characters. Ids, times and amounts stay. Returns the same text when it holds
 * nothing of the kind.
 */
export function redactText(text: string): string {
  const short =
    text.length > longestText ? `${text.slice(0, longestText)}… ${text.length - longestText} characters more` : text;
  if (plainly.test(short) || !worthALook.test(short)) return short;
  return rules.reduce((rest, [pattern, replacement]) => rest.replace(pattern, replacement), replaceCards(short));
}

function replaceCards(text: string): string {
  return text.replace(numbers, (match: string, candidate: string | undefined) =>
    candidate === undefined ? match : hideCards(candidate, redactedCard),
  );
}

/** A text with `[card number]` in the place of card numbers, and everything else as it is: for what is to be stored. */
export function hideCardNumbers(text: string): string {
  return text.length >= shortestCard && mayHoldCard.test(text) ? replaceCards(text) : text;
}

/** Whether a card number is written in a text, however it is separated. Ids, times and amounts are none. */
export function holdsCardNumber(text: string): boolean {
  return hideCardNumbers(text) !== text;
}
