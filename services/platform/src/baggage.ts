/** The longest baggage that goes on to callees, in characters, and the most entries. W3C lets it be 8,192. */
const longestHeader = 1_024;
const mostBytes = 16;
/** A longer user id is none of ours. */
const longestUserId = 128;

/** What no name has, and no database or header holds. */
const control = /[\p{Cc}\p{Cs}]/u;

const userEntry = /^user\.id\s*=/;

/** The entry `user.id` of a W3C `baggage` header, decoded; undefined when there is none or it cannot be one. */
export function userIdOf(header: string | undefined): string | undefined {
  const value = header?.match(/(?:^|,)\s*user\.id\s*=\s*([^,;\s]*)/)?.[1];
  if (!value) return undefined;
  const id = decode(value);
  return id.length <= longestUserId && !control.test(id) ? id : undefined;
}

/** Baggage is percent-encoded; what is not is taken as it is. */
function decode(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}

/** As much of a caller's baggage as goes on: whole entries, the user id before the others. */
export function boundedBaggage(header: string | undefined): string | undefined {
  if (!header) return undefined;
  const entries = header
    .split(",", 4 * mostBytes)
    .map((entry) => entry.trim())
    .filter((entry) => entry.includes("="));
  if (header.length <= longestHeader && entries.length <= mostBytes) return entries.join(",") || undefined;
  const user = entries.filter((entry) => userEntry.test(entry)).slice(0, 1);
  const kept: string[] = [];
  let length = 0;
  for (const entry of [...user, ...entries.filter((other) => !userEntry.test(other))]) {
    length += entry.length + 1;
    if (kept.length === mostBytes || length > longestHeader) break;
    kept.push(entry);
  }
  return kept.join(",") || undefined;
}

/** Baggage that names the user, whatever it said of that before. */
export function withUserId(baggage: string | undefined, userId: string): string {
  if (userIdOf(baggage) === userId && baggage) return baggage;
  const others = (baggage ?? "").split(",").filter((entry) => entry !== "" && !userEntry.test(entry.trim()));
  return [`user.id=${encodeURIComponent(userId)}`, ...others].join(",");
}
