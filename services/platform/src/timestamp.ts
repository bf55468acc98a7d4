import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";

/**
 * A time of a request in whole milliseconds since 1970, rounded up: what we keep is as old as a whole millisecond, and
 * what begins within one leaves it out.
 */
export function wholeMs(time: Timestamp | undefined): number | undefined {
  return time && timestampMs({ ...time, nanos: 0 }) + Math.ceil(time.nanos / 1e6);
}
