import { type AuditEntry, auditOrigin } from "#platform/audit/audit-entry.ts";
import { levelOf } from "./imported-stock.ts";
import type { Level } from "./stock.ts";
import type { LevelChange } from "./stock-book.ts";

/** What the audit log calls that there is little left of an article at a location, or enough again. */
export const crossingActions = { low: "stock.low", enough: "stock.available" } as const;

const available = (level: Level | undefined) => (level ? level.onHand - level.reserved : 0n);

/**
 * The events of levels that have become low, or are low no more, by what a batch of commands did to them; their locks are held. The batch is one
 * step: what falls and rises within it has no event.
 *
 * @param lowAt a level is low when no more than this is available; one that nobody knew had nothing
 */
export function crossingsOf(changes: readonly LevelChange[], lowAt: bigint): AuditEntry[] {
  return changes
    .filter(({ before, after }) => available(before) <= lowAt !== available(after) <= lowAt)
    .map(({ after }) => crossingEntry(after, { available: available(after), lowAt }));
}

function crossingEntry(
  level: Pick<Level, "sku" | "locationId">,
  { available, lowAt }: { readonly available: bigint; readonly lowAt: bigint },
): AuditEntry {
  const { sku, locationId } = level;
  const details = { sku, location: locationId, available: String(available), threshold: String(lowAt) };
  const action = available <= lowAt ? crossingActions.low : crossingActions.enough;
  // It comes of what several asked for together, and so nobody of them is who did it.
  return { action, subject: levelOf(level), details, origin: auditOrigin("", "service:inventory") };
}
