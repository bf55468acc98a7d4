import { hideCardNumbers } from "./redact-text.ts";

const control = /\p{Cc}/gu;

/**
 * A number or id of somebody outside (a gateway, a carrier) as it may be stored: on one line, without what the database cannot
 * store (NUL, halves of characters), and not longer than so many characters. It may look like the number of a payment card.
 */
export function outsideId(text: string, longest: number): string {
  return text.slice(0, longest).toWellFormed().replace(control, "?");
}

/** A text of somebody outside in the same way, without card numbers: for people. */
export function outsideText(text: string, longest: number): string {
  return hideCardNumbers(outsideId(text, longest));
}
