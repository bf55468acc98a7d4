import type { Order } from "#gen/shop/orders/v1/order_pb.js";
import { mutableKinds, type Notification, type NotificationKind } from "../notification/notification.ts";

/** Whether customers may say that they do not want to be told of it. */
export function isMutable(kind: NotificationKind): boolean {
  return mutableKinds.includes(kind);
}

/** Why something is not worth telling any more, of the order as it is; undefined when it is. */
export function staleness({ kind }: Pick<Notification, "kind">, order: Order): string | undefined {
  return kind === "order_delayed" && order.backOrderTime === undefined ? "over" : undefined;
}
