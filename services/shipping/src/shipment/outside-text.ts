import { hideCardNumbers } from "#platform/redact/redact-text.ts";

const control = /\p{Cc}/gu;

/**
 * A number or id of the carrier as it may be stored: on one line, without what the database cannot store (NUL, halves of
 * characters), and not longer than so many characters. It may look like the number of a payment card.
 */
export function outsideId(text: string, longest: number): string {
  return text.slice(0, longest).toWellFormed().replace(control, "?");
}

/** A text of the carrier or the warehouse in the same way, without card numbers: for people. */
export function outsideText(text: string, longest: number): string {
  return hideCardNumbers(outsideId(text, longest));
}

/** The longest codes and explanations of carrier and warehouse that are kept, in characters. */
const longest = { code: 64, reason: 500 };

/** Their code and explanation as they may be stored. */
export function outsideFailure(code: string, reason: string): { code: string; reason: string } {
  return { code: outsideText(code, longest.code), reason: outsideText(reason, longest.reason) };
}

/** As `ReportTrackingEvent` takes them. */
const longestTrackingNumber = 128;

/** Whether reports could name a parcel by this number: it is not empty, not too long, and can be stored as it is. */
export function isTrackingNumber(text: string): boolean {
  const fits = text !== "" && text.length <= longestTrackingNumber;
  return fits && text.isWellFormed() && text.search(control) < 0;
}
