import { type Order, OrderStatus } from "#gen/shop/orders/v1/order_pb.js";
import type { Wish } from "../shop/shopper.ts";

/** What can become of an order, as far as this shows it. */
export interface Kind {
  readonly name: string;
  /** How many of a hundred orders are meant to be so. */
  readonly share: number;
  readonly wish: Omit<Wish, "requestId">;
  /** Whether it is cancelled as soon as it is placed. */
  readonly cancel?: boolean;
  /** Whether this became of an order. */
  is(order: Order): boolean;
  /** What a Prometheus knows of this kind; each has a value above 0 once there was one. */
  readonly queries: readonly string[];
}

const ended = (status: OrderStatus, reason = /^/) => {
  return (order: Order) => order.status === status && reason.test(order.failure?.reason ?? "");
};
const beans = { lines: [{ sku: "espresso-beans-1kg", quantity: 1 }], cardToken: "tok_approve" };

/** The kinds of a mixed load, whose shares make a hundred. */
export const kinds: readonly Kind[] = [
  {
    name: "delivered",
    share: 60,
    wish: { ...beans, lines: [...beans.lines, { sku: "espresso-cup", quantity: 2 }] },
    is: ended(OrderStatus.DELIVERED),
    queries: [
      'sum(orders_transitions_total{status="delivered"})',
      'sum(payments_operations_total{kind="capture",outcome="succeeded"})',
      'histogram_quantile(0.95, sum by (le) (orders_processing_seconds_bucket{status="confirmed"}))',
    ],
  },
  {
    name: "declined",
    share: 10,
    wish: { ...beans, cardToken: "tok_decline" },
    is: ended(OrderStatus.REJECTED, /DECLINED/),
    queries: ['sum(payments_operations_total{kind="authorize",outcome="refused"})'],
  },
  {
    name: "out of stock",
    share: 10,
    wish: { ...beans, lines: [{ sku: "burr-grinder", quantity: 5_000 }] },
    is: ended(OrderStatus.REJECTED, /STOCK/),
    queries: ['sum(saga_steps_total{step="reserve",outcome="refused"})'],
  },
  {
    name: "shipment failed",
    share: 10,
    wish: { ...beans, postalCode: "SIM-REFUSE" },
    is: ended(OrderStatus.FAILED),
    queries: ['sum(saga_steps_total{step="ship",outcome="refused"})', 'sum(orders_transitions_total{status="failed"})'],
  },
  {
    name: "cancelled",
    share: 10,
    wish: beans,
    cancel: true,
    is: ended(OrderStatus.CANCELLED),
    queries: ['sum(orders_transitions_total{status="cancelled"})'],
  },
];

/** The kinds of so many orders, mixed evenly, and at least one of each. */
export function mixOf(count: number): Kind[] {
  // Each order goes to the kind that is furthest behind its share.
  const placed = new Map(kinds.map((kind) => [kind, 0]));
  return Array.from({ length: count }, (_, index) => {
    const behind = (kind: Kind) => {
      const had = placed.get(kind) ?? 0;
      return (had === 0 && count - index <= kinds.length ? 100 : 0) + (kind.share * (index + 1)) / 100 - had;
    };
    const [next] = [...kinds].sort((a, b) => behind(b) - behind(a));
    if (!next) throw new Error("there are no kinds");
    placed.set(next, (placed.get(next) ?? 0) + 1);
    return next;
  });
}
