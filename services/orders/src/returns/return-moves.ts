import type { Money } from "../order/order.ts";
import { newOrderId } from "../order/order-id.ts";
import { illegalReturnTransition } from "./errors.ts";
import { mayGo, type OrderReturn, type ReturnReason, type ReturnStatus, type WrittenReturn } from "./order-return.ts";
import { refusedExchange } from "./return-exchange.ts";

/** A return as it begins, of nothing. */
export function newReturn(
  { orderId, customerId, total }: { readonly orderId: string; readonly customerId: string; readonly total: Money },
  reason: ReturnReason,
): WrittenReturn {
  return {
    orderId,
    returnId: newOrderId(customerId),
    customerId,
    status: "requested",
    kind: "requested",
    reason,
    note: "",
    answer: "",
    lines: [],
    amount: { currency: total.currency, amount: 0n },
    withheld: 0n,
    trackingNumber: "",
    parcelLocationId: "",
    labelState: "",
    label: "",
    labelCode: "",
    exchange: undefined,
    grantedBy: "",
    revision: 1,
  };
}

/** Why a return may not go to a status; undefined when it may. */
export function illegalMove({ returnId, status: from }: Pick<OrderReturn, "returnId" | "status">, to: ReturnStatus) {
  return mayGo(from, to) ? undefined : illegalReturnTransition({ returnId, from, to });
}

/** An approved return, for which the carrier makes a label unless somebody has named a number. */
export function withLabel(approved: WrittenReturn): WrittenReturn {
  return approved.trackingNumber === "" ? { ...approved, labelState: "wanted" } : { ...approved, labelState: "" };
}

/** A return for which nothing is sent any more, unless it is decided already. */
export function withoutExchange(now: WrittenReturn, reason: string): WrittenReturn {
  const { exchange } = now;
  return exchange?.state === "wanted" ? { ...now, exchange: refusedExchange(exchange, reason) } : now;
}

/** Whether somebody may name the number of a return that is approved already: the carrier has made no label. */
export function awaitsNumber({ status, labelState }: Pick<OrderReturn, "status" | "labelState">): boolean {
  return status === "approved" && (labelState === "wanted" || labelState === "refused");
}

/** A return in another status. @throws ILLEGAL_RETURN_TRANSITION */
export function moved(before: OrderReturn, to: ReturnStatus): WrittenReturn {
  const illegal = illegalMove(before, to);
  if (illegal) throw illegal;
  return { ...before, status: to, revision: before.revision + 1 };
}
