import { setTimeout as pause } from "node:timers/promises";
import { CancelledFailure, Context } from "@temporalio/activity";
import type { Outcome } from "../workflows/engine/step-batch.ts";
import type { ParcelRef } from "../workflows/step-table.ts";
import { pending } from "./batch-call.ts";
import { keyOf } from "./entry-key.ts";
import { outsideOfTraces } from "./step-spans.ts";

/** How a long activity waits for the outside world, in milliseconds. */
export interface LongBatchPolicy {
  /** The longest that it waits; then it answers, with "pending" for what is not decided. */
  readonly boundMs: number;
  /** How long decided entries wait for the others of their batch. */
  readonly graceMs: number;
  /** The shortest pause between two looks. */
  readonly firstLookMs: number;
}

/** Looks at entries that are not decided. An entry without an outcome, or a pending one, is looked at again. */
type Look<I, O> = (open: I[]) => Promise<Map<string, Outcome<O>>>;

/**
 * Looks at entries again and again until all are decided, the first decided ones have waited long enough, or the time is
 * up. The older they are, the less often: the next pause is half their age, and when that is longer than what is left of
 * the time, the pausing is left to the workflow, which needs no slot of the worker for it. It heartbeats with the outcomes so
 * far: when the worker dies, the next attempt goes on from there.
 *
 * @param since when the youngest entry came to be, as a time in milliseconds; by default when this began
 */
export async function untilDecided<I extends ParcelRef, O>(
  entries: I[],
  look: Look<I, O>,
  policy: LongBatchPolicy,
  since: () => number | undefined = () => undefined,
): Promise<Outcome<O>[]> {
  const context = Context.current();
  const decided = new Map<string, Outcome<O>>(Object.entries(resumed<O>(context)));
  const began = Date.now();
  let firstDecided = decided.size > 0 ? began : undefined;
  for (let ask = look; ; ask = (later) => outsideOfTraces(() => look(later))) {
    const open = entries.filter((entry) => !decided.has(keyOf(entry)));
    // The traces of what takes days would never end: only the first look is in them.
    const found = open.length > 0 ? await ask(open) : [];
    for (const [key, outcome] of found) {
      if (outcome.kind !== "pending") decided.set(key, outcome);
    }
    const heartbeat = () => context.heartbeat(Object.fromEntries(decided));
    heartbeat();
    if (decided.size >= entries.length) break;
    if (decided.size > 0) firstDecided ??= Date.now();
    const times = { began, firstDecided, since: since() ?? began };
    const pauseMs = untilNextLook(times, policy);
    if (pauseMs === undefined) break;
    await rest(pauseMs, context, heartbeat);
  }
  return entries.map((entry) => decided.get(keyOf(entry)) ?? pending);
}

/** How long to wait before the next look, in milliseconds; undefined when there is to be none. */
function untilNextLook(
  { began, firstDecided, since }: { began: number; firstDecided: number | undefined; since: number },
  { boundMs, graceMs, firstLookMs }: LongBatchPolicy,
): number | undefined {
  const now = Date.now();
  const pauseMs = Math.max(firstLookMs, (now - since) / 2);
  const boundLeft = began + boundMs - now;
  if (firstDecided === undefined) return pauseMs < boundLeft ? pauseMs : undefined;
  const left = Math.min(boundLeft, firstDecided + graceMs - now);
  return left > 0 ? Math.min(pauseMs, left) : undefined;
}

/** The outcomes of the attempt before this one. */
function resumed<O>(context: Context): Record<string, Outcome<O>> {
  return context.info.heartbeatDetails ?? {};
}

/** Waits, and says three times in each heartbeat time-out that it is alive. */
async function rest(milliseconds: number, context: Context, heartbeat: () => void): Promise<void> {
  const { info, cancellationSignal: signal } = context;
  const mostMs = info.heartbeatTimeoutMs ? info.heartbeatTimeoutMs / 3 : milliseconds;
  try {
    for (let left = milliseconds; left > 0; left -= mostMs) {
      await pause(Math.min(left, mostMs), undefined, { signal });
      if (left > mostMs) heartbeat();
    }
  } catch {
    // The only way in which a pause fails.
    throw new CancelledFailure("the activity is cancelled");
  }
}
