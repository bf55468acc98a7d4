import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";

/** The last millisecond that a `google.protobuf.Timestamp` may say, of the year 9999. */
const lastMs = 253_402_300_799_999;

/**
 * A time of a request in whole milliseconds since 1970, rounded up: what we keep is as old as a whole millisecond, and
 * what begins within one leaves it out.
 */
export function wholeMs(time: Timestamp | undefined): number | undefined {
  return time && Math.min(lastMs, timestampMs({ ...time, nanos: 0 }) + Math.ceil(time.nanos / 1e6));
}
