import { timestampDate } from "@bufbuild/protobuf/wkt";
import { type Order, OrderShipmentStatus, OrderStatus, PriceAdjustmentKind } from "#gen/shop/orders/v1/order_pb.js";
import { followOrder } from "../../clients/typescript/src/follow-order.ts";
import { Ordermesh } from "../../clients/typescript/src/ordermesh.ts";
import { StackError } from "../errors.ts";
import type { Stack } from "../stack/stack.ts";
import type { Screen } from "../terminal/screen.ts";
import { fillShelves } from "./catalogue.ts";
import { clientOptionsFor } from "./clients.ts";
import { demonstrateChanges } from "./demo-changes.ts";
import { formatMoney } from "./format-money.ts";

/** How long an order may take from its acceptance to its delivery; the simulators need a few seconds. */
const deliveryDeadlineMs = 120_000;

const ada = { givenName: "Ada", familyName: "Lovelace", email: "ada@example.com", phone: "+442079460000" };

/** What one demonstration left behind. */
export interface Demonstration {
  readonly order: Order;
  readonly customerId: string;
}

/**
 * Fills the shelves, places one order through the public gRPC face and prints what becomes of it until it ends; then changes
 * another one, and has a part of the first come back.
 * @throws StackError when the order is not over within the deadline
 */
export async function demonstrate(stack: Stack, screen: Screen, signal: AbortSignal): Promise<Demonstration> {
  using shop = new Ordermesh(clientOptionsFor(stack));
  const filled = await fillShelves(shop.inventory);
  if (filled > 0) screen.say(`Filled ${filled} shelves with the catalogue.`);
  const customerId = await findOrCreateCustomer(shop.customers);
  const order = await placeOrder(shop.orders, customerId);
  screen.print();
  screen.title(`Order ${order.orderId} for ${ada.givenName} ${ada.familyName}, ${formatMoney(order.total)}`);
  showPrice(screen, order);
  const ended = await follow(shop.orders, order, { screen, signal });
  if (ended.status === OrderStatus.DELIVERED) await demonstrateChanges(ended, { shop, screen, signal });
  return { customerId, order: ended };
}

async function findOrCreateCustomer(customers: Ordermesh["customers"]): Promise<string> {
  const { customers: found } = await customers.listCustomers({ email: ada.email });
  if (found[0]) return found[0].customerId;
  const { customer } = await customers.createCustomer({ ...ada, requestId: "demonstration:ada" });
  if (!customer) throw new StackError("The orders service created a customer but did not say which.");
  return customer.customerId;
}

async function placeOrder(orders: Ordermesh["orders"], customerId: string): Promise<Order> {
  const euros = (amount: bigint) => ({ currency: "EUR", amount });
  const spring = { kind: PriceAdjustmentKind.DISCOUNT, name: "SPRING10", amount: euros(-340n) };
  const { order } = await orders.createOrder({
    customerId,
    // Cups are in Berlin and pitchers in Hamburg, so the order travels in two parcels.
    lines: [
      { sku: "espresso-beans-1kg", quantity: 2, unitPrice: euros(2_190n) },
      { sku: "espresso-cup", quantity: 4, unitPrice: euros(950n) },
      { sku: "milk-pitcher", quantity: 1, unitPrice: euros(3_400n), adjustments: [spring] },
    ],
    // Each parcel is charged its part of them.
    adjustments: [
      { kind: PriceAdjustmentKind.SHIPPING, name: "Express delivery", amount: euros(790n) },
      { kind: PriceAdjustmentKind.TAX, name: "VAT 20 %", amount: euros(2_005n), included: true },
    ],
    total: euros(12_030n),
    shippingAddress: {
      recipient: `${ada.givenName} ${ada.familyName}`,
      lines: ["1 Analytical Way"],
      city: "London",
      postalCode: "SW1Y 4JH",
      country: "GB",
    },
    cardToken: "tok_approve",
  });
  if (!order) throw new StackError("The orders service accepted an order but did not say which.");
  return order;
}

/** Prints what the order's total is made of. */
function showPrice(screen: Screen, { lines, adjustments, total }: Order): void {
  const show = (money: Parameters<typeof formatMoney>[0], what: string) => {
    screen.print(`  ${formatMoney(money).padStart(14)}  ${what}`);
  };
  const articles = lines.reduce(
    (sum, { quantity, unitPrice }) => sum + BigInt(quantity) * (unitPrice?.amount ?? 0n),
    0n,
  );
  show({ currency: total?.currency ?? "", amount: articles }, `${lines.length} articles`);
  for (const { name, amount, included } of [...lines.flatMap((line) => line.adjustments), ...adjustments]) {
    show(amount, included ? `${name}, included` : name);
  }
}

/** Prints each step of the order as it happens. */
async function follow(
  orders: Ordermesh["orders"],
  accepted: Order,
  { screen, signal }: { screen: Screen; signal: AbortSignal },
): Promise<Order> {
  const timeline = new Timeline(screen);
  const expired = AbortSignal.timeout(deliveryDeadlineMs);
  const until = AbortSignal.any([signal, expired]);
  let order = accepted;
  try {
    for await (order of followOrder(orders, order.orderId, until)) timeline.show(order);
  } catch (error) {
    if (signal.aborted) return order;
    if (!expired.aborted) throw error;
    const status = OrderStatus[order.status];
    throw new StackError(`The order is still ${status} after ${deliveryDeadlineMs / 1000} s; see .data/log.`);
  }
  return order;
}

/** Shows of an order what it has not shown yet. */
class Timeline {
  readonly #screen: Screen;
  #events = 0;
  readonly #parcels = new Map<string, OrderShipmentStatus>();

  constructor(screen: Screen) {
    this.#screen = screen;
  }

  show(order: Order): void {
    const begin = order.createTime ? timestampDate(order.createTime).getTime() : Date.now();
    for (const event of order.history.slice(this.#events)) {
      const time = event.eventTime ? timestampDate(event.eventTime).getTime() : Date.now();
      this.#print(time - begin, OrderStatus[event.status], this.#explain(order, event.status));
    }
    this.#events = order.history.length;
    for (const parcel of order.shipments) this.#showParcel(parcel, Date.now() - begin);
  }

  #showParcel(parcel: Order["shipments"][number], ms: number): void {
    if (this.#parcels.get(parcel.locationId) === parcel.status) return;
    this.#parcels.set(parcel.locationId, parcel.status);
    const tracking = parcel.trackingNumber ? `, tracking number ${parcel.trackingNumber}` : "";
    const status = OrderShipmentStatus[parcel.status].toLowerCase();
    this.#print(ms, "", `parcel from ${parcel.locationId}: ${status}, ${formatMoney(parcel.amount)}${tracking}`);
  }

  #explain(order: Order, status: OrderStatus): string {
    const isFailure = [OrderStatus.REJECTED, OrderStatus.CANCELLED, OrderStatus.FAILED].includes(status);
    if (isFailure) return order.failure?.customerMessage ?? "";
    return explanations[status] ?? "";
  }

  #print(ms: number, status: string, text: string): void {
    this.#screen.print(`  ${(ms / 1000).toFixed(2).padStart(7)} s  ${status.padEnd(10)} ${text}`.trimEnd());
  }
}

const explanations: Partial<Record<OrderStatus, string>> = {
  [OrderStatus.PENDING]: "accepted and durable",
  [OrderStatus.CONFIRMED]: "stock is set aside, the card is authorized",
  [OrderStatus.PREPARING]: "being packed",
  [OrderStatus.SHIPPED]: "every parcel has left; each was charged as it left",
  [OrderStatus.DELIVERED]: "arrived",
};

/** Whether an order has come to its end. */
export function isOver({ status }: Order): boolean {
  return [OrderStatus.DELIVERED, OrderStatus.REJECTED, OrderStatus.CANCELLED, OrderStatus.FAILED].includes(status);
}
