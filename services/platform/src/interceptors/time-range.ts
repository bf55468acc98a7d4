import type { DescField } from "@bufbuild/protobuf";
import { TimestampSchema } from "@bufbuild/protobuf/wkt";
import type { Time } from "./message-values.ts";

/** What google/protobuf/timestamp.proto and duration.proto allow. Bytes can say more, which neither clocks nor databases take. */
const firstSecond = -62_135_596_800n;
const lastSecond = 253_402_300_799n;
const longestSeconds = 315_576_000_000n;
const mostNanos = 999_999_999;

function isPoint({ seconds, nanos }: Time): boolean {
  return seconds >= firstSecond && seconds <= lastSecond && nanos >= 0 && nanos <= mostNanos;
}

function isLength({ seconds, nanos }: Time): boolean {
  const sameSign = seconds === 0n || nanos === 0 || seconds > 0n === nanos > 0;
  return sameSign && seconds >= -longestSeconds && seconds <= longestSeconds && Math.abs(nanos) <= mostNanos;
}

/** What is wrong with a time that no message may hold; undefined when nothing is. */
export function problemOfTime(field: DescField, time: Time): string | undefined {
  if (field.message?.typeName === TimestampSchema.typeName) {
    return isPoint(time) ? undefined : "must be a time between the years 1 and 9999";
  }
  return isLength(time)
    ? undefined
    : "must be a duration of at most 10,000 years, in seconds and nanoseconds of one sign";
}
