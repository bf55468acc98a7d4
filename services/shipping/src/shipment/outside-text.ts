import { outsideId, outsideText } from "#platform/redact/outside-text.ts";

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
  return fits && outsideId(text, longestTrackingNumber) === text;
}
