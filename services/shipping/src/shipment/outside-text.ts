import { hideCardNumbers } from "#platform/redact/redact-text.ts";

const control = /\p{Cc}/gu;

/**
 * A text of the carrier or the warehouse as it may be stored and shown: on one line, without what the database cannot store
 * (NUL, halves of characters), without card numbers, and not longer than so many characters.
 */
export function outsideText(text: string, longest: number): string {
  return hideCardNumbers(text.slice(0, longest).toWellFormed().replace(control, "?"));
}

/** The longest codes and explanations of carrier and warehouse that are kept, in characters. */
const longest = { code: 64, reason: 500 };

/** Their code and explanation as they may be stored. */
export function outsideFailure(code: string, reason: string): { code: string; reason: string } {
  return { code: outsideText(code, longest.code), reason: outsideText(reason, longest.reason) };
}

/** As `ReportTrackingEvent` takes them. */
const longestTrackingNumber = 64;

/** Whether reports could name a parcel by this number: it is not empty, not too long, and can be stored as it is. */
export function isTrackingNumber(text: string): boolean {
  const fits = text !== "" && text.length <= longestTrackingNumber;
  return fits && text.isWellFormed() && text.search(control) < 0;
}
