import type { Placed } from "./crowd.ts";
import type { OrderState } from "./order-states.ts";
import type { Reviewed } from "./reviewers.ts";
import { endsOf } from "./wanted.ts";

/** At most so many cases of one fault are named. */
const maxNamed = 10;

/** What else explains how orders end. */
export interface JudgeOptions {
  /** Whether a checkout may have had no time to come to its end. */
  readonly mayBeLate?: boolean;
  /** What people decided about orders that were held up. */
  readonly reviewed?: ReadonlyMap<string, Reviewed>;
}

/** What is wrong with how orders ended, one sentence each. */
export function judge(
  placed: readonly Placed[],
  states: readonly OrderState[],
  { mayBeLate = false, reviewed = new Map() }: JudgeOptions = {},
): string[] {
  const byId = new Map(states.map((state) => [state.orderId, state]));
  return placed.flatMap((each) => {
    const state = byId.get(each.orderId);
    if (!state) return [`order ${each.orderId} was accepted and is not there`];
    const isLate = mayBeLate && state.status === "rejected";
    const isRefused = reviewed.get(each.orderId) === "refused";
    const what = state.ended ? !isLate && wrongEnd(each, state, isRefused) : `has not ended: ${state.rest}`;
    return !what ? [] : [`order ${each.orderId} (${describe(each)}) ${what}`];
  });
}

function wrongEnd(
  { wanted, cancellation }: Placed,
  { status, recalled, returned }: OrderState,
  isRefused: boolean,
): string | undefined {
  if (cancellation === "accepted") {
    // What had left, and the carrier has not turned back, is to be returned.
    if (recalled && status === "delivered") return returned ? undefined : "is delivered, and nothing is to be returned";
    return status === "cancelled" ? undefined : `is ${status}, though its cancellation was accepted`;
  }
  if (status === "cancelled") return "is cancelled, though nobody was told so";
  const right = isRefused ? ["rejected"] : endsOf(wanted.wish);
  return right.includes(status) ? undefined : `is ${status} and should be ${right.join(" or ")}`;
}

function describe({ wanted, cancellation, afterwards }: Placed): string {
  const { requestId, cardToken, postalCode, lines } = wanted.wish;
  const articles = lines.map(({ sku, quantity }) => `${quantity} ${sku}`).join(" + ");
  const cancelled = cancellation ? `, cancellation ${cancellation}` : "";
  const changed = wanted.afterthought ? `, wanted ${afterwards ?? wanted.afterthought.kind}` : "";
  return `${requestId}, ${cardToken}, ${postalCode}, ${articles}${cancelled}${changed}`;
}

/** The steps that wait for an operator: nothing that a campaign does may need one. */
export function judgeParked(states: readonly OrderState[]): string[] {
  return states.flatMap(({ orderId, parked }) =>
    parked === undefined ? [] : [`order ${orderId} needs an operator for ${parked}`],
  );
}

/** How many orders stand how: `12 delivered, 3 rejected`. */
export function summary(states: readonly OrderState[]): string {
  const counts = Map.groupBy(states, ({ status }) => status);
  return [...counts].map(([status, { length }]) => `${length} ${status}`).join(", ") || "none";
}

/** The first of many, and how many more there are. */
export function shortened(violations: readonly string[]): string[] {
  const more = violations.length - maxNamed;
  return more > 0 ? [...violations.slice(0, maxNamed), `… and ${more} more`] : [...violations];
}
