import { setTimeout as delay } from "node:timers/promises";
import { type Order, OrderAmendmentStatus, OrderStatus } from "#gen/shop/orders/v1/order_pb.js";
import { type OrderReturn, ReturnReason, ReturnStatus } from "#gen/shop/orders/v1/order_return_pb.js";
import { OrderReturnService } from "#gen/shop/orders/v1/order_return_service_pb.js";
import type { Ordermesh } from "../../clients/typescript/src/ordermesh.ts";
import { StackError } from "../errors.ts";
import type { Screen } from "../terminal/screen.ts";
import { formatMoney } from "./format-money.ts";

/** Between two looks at what is waited for, in milliseconds. */
const lookEveryMs = 200;
/** How long a change may take to be through; the simulators need a few seconds. */
const deadlineMs = 60_000;

/** What the changes are made with. */
export interface ChangesOptions {
  readonly shop: Ordermesh;
  readonly screen: Screen;
  readonly signal: AbortSignal;
}

const euros = (amount: bigint) => ({ currency: "EUR", amount });
const cups = (quantity: number) => ({ sku: "espresso-cup", quantity, unitPrice: euros(950n) });

/** Has a second order become a larger one before it is packed, a piece of the first come back, and shows what became of the money. */
export async function demonstrateChanges(delivered: Order, { shop, screen, signal }: ChangesOptions): Promise<void> {
  const { customerId, shippingAddress } = delivered;
  const { order: placed } = await shop.orders.createOrder({
    customerId,
    lines: [cups(2)],
    shippingAddress,
    cardToken: "tok_approve",
  });
  const { orderId = "" } = placed ?? {};
  const amending = { orderId, lines: [cups(3)], cardToken: "tok_approve" };
  const { order: accepted } = await shop.orders.amendOrder(amending);
  screen.print();
  screen.title(`Order ${orderId}: two cups, and another one before they were packed`);
  const isDecided = ({ amendment }: Order) => amendment?.status !== OrderAmendmentStatus.PENDING;
  const amended =
    accepted && isDecided(accepted) ? accepted : await orderOnce(orderId, isDecided, { shop, screen, signal });
  const outcome = OrderAmendmentStatus[amended.amendment?.status ?? 0];
  screen.print(
    `  amendment ${outcome}: ${formatMoney(placed?.total)} became ${formatMoney(amended.total)}, revision ${amended.revision}`,
  );
  await orderOnce(orderId, ({ status }) => status === OrderStatus.DELIVERED, { shop, screen, signal });
  await showMoney(orderId, { shop, screen, signal });

  screen.print();
  screen.title(`Order ${delivered.orderId}: one of four cups comes back`);
  const done = await sendBack(delivered.orderId, { shop, screen, signal });
  screen.print(
    `  return ${ReturnStatus[done.status]}: the cup is on its shelf, ${formatMoney(done.amount)} with its part of shipping are paid back`,
  );
  await showMoney(delivered.orderId, { shop, screen, signal });
}

/** Has a cup of the order taken back by its customer's wish, an agent's approval and the warehouse's inspection. */
async function sendBack(orderId: string, { shop, signal }: ChangesOptions): Promise<OrderReturn> {
  const returns = shop.client(OrderReturnService, "orders");
  const lineNumber = 2;
  const reason = ReturnReason.UNWANTED;
  const { orderReturn } = await returns.requestReturn({ orderId, lines: [{ lineNumber, quantity: 1 }], reason });
  const { returnId = "", status } = orderReturn ?? {};
  if (status === ReturnStatus.REQUESTED) await returns.approveReturn({ orderId, returnId, trackingNumber: "RT-1" });
  const lines = [{ lineNumber, quantity: 1, restocked: 1, locationId: "berlin" }];
  await returns.receiveReturn({ orderId, returnId, lines });
  return await once(signal, async () => {
    const { orderReturn: now } = await returns.getReturn({ orderId, returnId });
    return now?.status === ReturnStatus.COMPLETED ? now : undefined;
  });
}

/** Prints what was taken for an order and given back, of each of its payments. */
async function showMoney(orderId: string, { shop, screen }: ChangesOptions): Promise<void> {
  const { payments } = await shop.payments.listPayments({ orderId });
  for (const { amount, captured, voided, refunded } of payments.toReversed()) {
    const parts = { captured, voided, refunded };
    const moved = Object.entries(parts).filter(([, money]) => (money?.amount ?? 0n) > 0n);
    const shown = moved.map(([what, money]) => `${formatMoney(money)} ${what}`).join(", ");
    screen.print(`  ${formatMoney(amount).padStart(14)}  authorized: ${shown}`);
  }
}

function orderOnce(orderId: string, isSo: (order: Order) => boolean, { shop, signal }: ChangesOptions): Promise<Order> {
  return once(signal, async () => {
    const { order } = await shop.orders.getOrder({ orderId });
    return order && isSo(order) ? order : undefined;
  });
}

async function once<T>(signal: AbortSignal, look: () => Promise<T | undefined>): Promise<T> {
  const end = performance.now() + deadlineMs;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() > end)
      throw new StackError(`A change is not through after ${deadlineMs / 1_000} s; see .data/log.`);
    await delay(lookEveryMs, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) throw new StackError("The demonstration was stopped.");
  }
}
