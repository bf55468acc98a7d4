import type { AuditEntry, AuditOrigin } from "#platform/audit/audit-entry.ts";
import {
  type Adjust,
  type Allocation,
  type AllocationStatus,
  isOpen,
  isSameLevel,
  isShort,
  isWaiting,
  type Line,
  type Movement,
  type Part,
  type Restock,
  type StockCommand,
} from "./stock.ts";
import type { ReservationChange, StockBook } from "./stock-book.ts";

/** A command with whoever is answerable for it. */
export interface AuditedCommand {
  readonly command: StockCommand;
  readonly origin: AuditOrigin;
}

/** What a part's new status is called in the audit log. */
const actions = {
  held: "stock.reserved",
  confirmed: "stock.confirmed",
  committed: "stock.committed",
  released: "stock.released",
  expired: "stock.expired",
} as const satisfies Record<AllocationStatus, string>;

type Action = (typeof actions)[AllocationStatus];

/** Parts that one event names; an order of many lines from many locations has several. Its details are bounded. */
const maxParts = 24;

/**
 * The effects of a batch of commands: for each order what was reserved, confirmed, committed, released or expired, as
 * quantities by `sku@location`, and what came back, with its return; for each adjustment, which has its level as the subject, the
 * difference. A command without an effect has no event.
 *
 * @param commands those that were done; an order is in one of them at most
 */
export function auditOf(
  commands: readonly AuditedCommand[],
  { reservations: changes, movements }: Pick<StockBook, "reservations" | "movements">,
): AuditEntry[] {
  const origins = new Map<string, AuditOrigin>();
  const entries: AuditEntry[] = [];
  for (const { command, origin } of commands) {
    if (command.kind === "adjust") entries.push(adjusted(command, origin));
    else {
      if (command.kind === "restock") entries.push(...returned(command, { origin, movements }));
      origins.set(command.orderId, origin);
    }
  }
  for (const change of changes) {
    const origin = origins.get(change.after.orderId);
    if (!origin) throw new Error(`nobody is answerable for the change of order ${change.after.orderId}`);
    entries.push(...moved(change, origin));
  }
  return entries;
}

function adjusted({ sku, locationId, delta }: Adjust, origin: AuditOrigin): AuditEntry {
  const level = `${sku}@${locationId}`;
  return { action: "stock.adjusted", subject: level, details: { [level]: String(delta) }, origin };
}

function returned(
  { orderId, returnId, parts }: Restock,
  { origin, movements }: { origin: AuditOrigin; movements: readonly Movement[] },
): AuditEntry[] {
  const isNew = movements.some(
    (each) => each.kind === "return" && each.orderId === orderId && each.reason === returnId,
  );
  if (!isNew) return [];
  const events = eventsOf({ action: "stock.returned", orderId, origin }, parts);
  return events.map((event) => ({ ...event, details: { ...event.details, return: returnId } }));
}

function moved({ before, after }: ReservationChange, origin: AuditOrigin): AuditEntry[] {
  const { orderId } = after;
  // The hot path: what is new is held, if it is anything.
  if (!before && !after.wait && !isShort(after))
    return eventsOf({ action: actions.held, orderId, origin }, after.allocations);
  const missed =
    isShort(after) && !before?.missing ? linesOf({ action: "stock.missing", orderId, origin }, after.missing) : [];
  return [...missed, ...waited({ before, after }, origin), ...parted({ before, after }, origin)];
}

/** An order begins to wait for stock, or does not want to wait any longer. */
function waited({ before, after }: ReservationChange, origin: AuditOrigin): AuditEntry[] {
  const { orderId } = after;
  if (isWaiting(after) && !isWaiting(before))
    return linesOf({ action: "stock.awaited", orderId, origin }, after.wait.lines);
  const givesUp = isWaiting(before) && after.wait === undefined;
  return givesUp ? linesOf({ action: "stock.unawaited", orderId, origin }, before.wait.lines) : [];
}

function linesOf(about: Omit<AuditEntry, "details">, lines: readonly Line[]): AuditEntry[] {
  const events: AuditEntry[] = [];
  for (let from = 0; from < lines.length; from += maxParts) {
    const some = lines.slice(from, from + maxParts);
    const details = Object.fromEntries(some.map(({ sku, quantity }) => [sku, String(quantity)]));
    events.push({ ...about, details });
  }
  return events;
}

function parted({ before, after }: ReservationChange, origin: AuditOrigin): AuditEntry[] {
  const { orderId } = after;
  const effects = after.allocations.flatMap((part) => {
    const former = before?.allocations.find((each) => isSameLevel(each, part));
    return isResized(former, part)
      ? resized(former, part)
      : actionsOf(former, part).map((action) => ({ action, part }));
  });
  const gone = (before?.allocations ?? []).filter(
    (part) => isOpen(part) && !after.allocations.some((each) => isSameLevel(each, part)),
  );
  effects.push(...gone.map((part) => ({ action: actions.released, part })));
  const byAction = Map.groupBy(effects, ({ action }) => action);
  return [...byAction].flatMap(([action, parts]) =>
    eventsOf(
      { action, orderId, origin },
      parts.map(({ part }) => part),
    ),
  );
}

/** What was done to a part, or to some pieces of it. */
interface Effect {
  readonly action: Action;
  readonly part: Part;
}

/** Whether an amendment took some pieces more, or gave some back. All that is firm then is said as well: it is what the books look for. */
function isResized(former: Allocation | undefined, part: Allocation): former is Allocation {
  return former !== undefined && former.status === part.status && former.quantity !== part.quantity && isOpen(part);
}

function resized(former: Allocation, part: Allocation): Effect[] {
  const more = part.quantity - former.quantity;
  const change = more > 0n ? actions.held : actions.released;
  return [
    { action: change, part: { ...part, quantity: more > 0n ? more : -more } },
    { action: actions[part.status], part },
  ];
}

/** Stock that is taken again by a late confirmation is reserved as well; what is not set aside is not given back. */
function actionsOf(former: Allocation | undefined, part: Allocation): Action[] {
  if (former === part || former?.status === part.status) return [];
  const wasOpen = former !== undefined && isOpen(former);
  if (part.status === "confirmed" && !wasOpen) return [actions.held, actions.confirmed];
  return part.status === "held" || wasOpen ? [actions[part.status]] : [];
}

function eventsOf(about: Omit<AuditEntry, "details">, parts: readonly Part[]): AuditEntry[] {
  const events: AuditEntry[] = [];
  for (let from = 0; from < parts.length; from += maxParts) {
    const details: Record<string, string> = {};
    for (const part of parts.slice(from, from + maxParts)) {
      details[`${part.sku}@${part.locationId}`] = String(part.quantity);
    }
    events.push({ ...about, details });
  }
  return events;
}
