import { setTimeout as pause } from "node:timers/promises";
import { CancelledFailure, Context } from "@temporalio/activity";
import type { ParcelRef } from "../workflows/step-types.ts";
import type { Outcome } from "../workflows/types.ts";
import { pending } from "./list-call.ts";
import { outsideOfTraces } from "./step-spans.ts";

/** How a long activity waits for the outside world, in milliseconds. */
export interface LongListPolicy {
  /** After this long it answers, with "pending" for what is not decided. */
  readonly boundMs: number;
  /** How long decided entries wait for the others of their list. */
  readonly graceMs: number;
  /** First pause between two looks; grows by half up to the second. */
  readonly firstLookMs: number;
  readonly maxLookMs: number;
}

/** Looks at entries that are not decided. An entry without an outcome, or a pending one, is looked at again. */
type Look<I, O> = (open: I[]) => Promise<Map<string, Outcome<O>>>;

/** Names an entry among the others of its list. */
export function keyOf({ orderId, locationId }: ParcelRef): string {
  return `${orderId}:${locationId}`;
}

/**
 * Looks at entries again and again until all are decided, the first decided ones have waited long enough, or the time is
 * up. Every round heartbeats with the outcomes so far: when the worker dies, the next attempt goes on from there.
 */
export async function untilDecided<I extends ParcelRef, O>(
  entries: I[],
  look: Look<I, O>,
  policy: LongListPolicy,
): Promise<Outcome<O>[]> {
  const context = Context.current();
  const decided = new Map<string, Outcome<O>>(Object.entries(resumed<O>(context)));
  const began = Date.now();
  let firstDecided = decided.size > 0 ? began : undefined;
  let ask = look;
  for (let lookMs = policy.firstLookMs; ; lookMs = Math.min(lookMs * 1.5, policy.maxLookMs)) {
    const open = entries.filter((entry) => !decided.has(keyOf(entry)));
    const found = open.length > 0 ? await ask(open) : [];
    // The traces of what takes days would never end.
    ask = (list) => outsideOfTraces(() => look(list));
    for (const [key, outcome] of found) {
      if (outcome.kind !== "pending") decided.set(key, outcome);
    }
    context.heartbeat(Object.fromEntries(decided));
    if (decided.size > 0) firstDecided ??= Date.now();
    const enough = firstDecided !== undefined && Date.now() - firstDecided >= policy.graceMs;
    if (decided.size >= entries.length || enough || Date.now() - began >= policy.boundMs) break;
    await rest(lookMs, context.cancellationSignal);
  }
  return entries.map((entry) => decided.get(keyOf(entry)) ?? pending);
}

/** The outcomes of the attempt before this one. */
function resumed<O>(context: Context): Record<string, Outcome<O>> {
  return context.info.heartbeatDetails ?? {};
}

async function rest(milliseconds: number, signal: AbortSignal): Promise<void> {
  try {
    await pause(milliseconds, undefined, { signal });
  } catch {
    // The only way in which a pause fails.
    throw new CancelledFailure("the activity is cancelled");
  }
}
