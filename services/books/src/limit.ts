import { decodeId, isId } from "#platform/id.ts";
import { allIds, type IdRange } from "./balance/range.ts";

/** From when to when orders were made that are compared: each an order's id, a time, or how long ago (`90m`, `24h`, `7d`). */
export interface Limit {
  readonly since?: string | undefined;
  readonly until?: string | undefined;
}

/** A limit that cannot be read; the message is one sentence. */
export class LimitError extends Error {
  override readonly name = "LimitError";
}

const unitMs: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 };
const example = "an order's id, a time such as 2026-11-30T08:00:00Z, or how long ago, such as 90m, 24h or 7d";

/**
 * The ids of a limit, both ends among them; undefined when there is none. Ids begin with the time at which they were made.
 *
 * @param names what the two are called where they are written
 * @throws LimitError
 */
export function idsOf(
  { since, until }: Limit,
  names: Readonly<Record<keyof Limit, string>>,
  now = Date.now(),
): IdRange | undefined {
  if (since === undefined && until === undefined) return undefined;
  const from = since === undefined ? allIds.from : idAt(names.since, since, { now, rest: "0" });
  const to = until === undefined ? allIds.to : idAt(names.until, until, { now, rest: "f" });
  if (from > to) throw new LimitError(`${names.since} is ${since}, which comes after ${names.until}, ${until}.`);
  return { from, to };
}

function idAt(name: string, text: string, { now, rest }: { now: number; rest: "0" | "f" }): string {
  if (isId(text)) return decodeId(text);
  const ms = timeOf(text, now);
  if (ms === undefined) throw new LimitError(`${name} is ${example}, not "${text}".`);
  const hex = ms.toString(16).padStart(12, "0");
  const tail = ["4", "4", "12"].map((length) => rest.repeat(Number(length))).join("-");
  return `${hex.slice(0, 8)}-${hex.slice(8)}-${tail}`;
}

/** Milliseconds since 1970; undefined when the text is no time that an id can have. */
function timeOf(text: string, now: number): number | undefined {
  const [, count, unit] = /^(\d{1,6})([mhd])$/.exec(text) ?? [];
  const isTime = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,3})?)?(Z|[+-]\d{2}:\d{2}))?$/.test(text);
  const ms = unit ? now - Number(count) * (unitMs[unit] ?? 0) : isTime ? Date.parse(text) : Number.NaN;
  return ms >= 0 && ms < 2 ** 48 ? ms : undefined;
}
