import { type Timestamp, timestampDate } from "@bufbuild/protobuf/wkt";
import type { Refusal } from "#platform/import/import-record.ts";

/** Before it there was nothing to import: a smaller number is a mistake of the export, such as seconds for milliseconds. */
const earliest = Date.UTC(1990, 0);

/** A time that the rules of its schema want. */
export function timeOf(time: Timestamp | undefined): Date {
  return time ? timestampDate(time) : new Date(0);
}

/** What is wrong with the times of a record, by the names of their fields and the oldest first; one that is absent is none. */
export function wrongTime(times: Readonly<Record<string, Timestamp | undefined>>): Refusal | undefined {
  let before = earliest;
  let after = "1990";
  for (const [field, time] of Object.entries(times)) {
    if (!time) continue;
    const ms = timestampDate(time).getTime();
    const isLate = ms > Date.now();
    if (isLate || ms < before) {
      const why = isLate ? "is in the future" : `is before ${after}`;
      return { reason: "WRONG_TIME", field, message: `${field} ${why}` };
    }
    before = ms;
    after = field;
  }
  return undefined;
}
