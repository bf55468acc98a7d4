import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { type Dispute, DisputeSchema, DisputeState } from "#gen/shop/payments/v1/dispute_pb.js";
import type { ListDisputesRequest } from "#gen/shop/payments/v1/payment_service_pb.js";
import { decodeId } from "#platform/id.ts";
import type { Json } from "#platform/page-token.ts";
import { wholeMs } from "#platform/timestamp.ts";
import { whole } from "#platform/whole.ts";
import type * as domain from "../dispute/dispute.ts";
import type { DisputeFilter } from "../dispute/dispute-statements.ts";

const states = {
  open: DisputeState.OPEN,
  won: DisputeState.WON,
  lost: DisputeState.LOST,
} as const satisfies Record<domain.DisputeState, DisputeState>;

const stateNames = new Map<DisputeState, domain.DisputeState>(
  Object.entries(states).map(([name, number]) => [number, name as domain.DisputeState] as const),
);

/** A dispute as the API shows it. */
export function toProtoDispute(dispute: domain.Dispute): Dispute {
  const { disputeId, paymentId, orderId, state, reason, currency, amount, respondByTime } = dispute;
  return whole(DisputeSchema, {
    disputeId,
    paymentId,
    orderId,
    state: states[state],
    reason,
    amount: { currency, amount },
    respondByTime: respondByTime && timestampFromDate(respondByTime),
    createTime: timestampFromDate(dispute.createTime),
    updateTime: timestampFromDate(dispute.updateTime),
  });
}

/** Which disputes are asked for. */
export function toDisputeFilter(request: ListDisputesRequest): DisputeFilter {
  const { paymentId, orderId, respondByTimeFrom: from, respondByTimeUntil: until } = request;
  return {
    paymentId: paymentId ? decodeId(paymentId) : undefined,
    orderId: orderId ? decodeId(orderId) : undefined,
    state: stateNames.get(request.state),
    dueFrom: from && new Date(wholeMs(from) ?? 0),
    dueUntil: until && new Date(wholeMs(until) ?? 0),
  };
}

/** What decides which disputes a list has. */
export function disputeListOf({ paymentId, orderId, state, dueFrom, dueUntil }: DisputeFilter): Json {
  const times = [dueFrom, dueUntil].map((time) => time?.getTime() ?? null);
  return ["ListDisputes", paymentId ?? "", orderId ?? "", state ?? "", ...times];
}

/** The place behind a dispute. */
export function disputeCursor({ respondByTime, paymentId, disputeId }: domain.Dispute): Json {
  return [respondByTime?.getTime() ?? null, paymentId, disputeId];
}

/** The dispute that a page begins behind; undefined for what is no place of such a list. */
export function toDisputePlace(cursor: Json): DisputeFilter["after"] {
  if (!Array.isArray(cursor)) return undefined;
  const [time, paymentId, disputeId] = cursor;
  if (typeof paymentId !== "string" || typeof disputeId !== "string") return undefined;
  return {
    respondByTime: typeof time === "number" ? new Date(time) : null,
    paymentId: decodeId(paymentId),
    disputeId,
  };
}
