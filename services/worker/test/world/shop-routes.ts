import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { ConnectRouter } from "@connectrpc/connect";
import { InventoryService } from "#gen/shop/inventory/v1/inventory_service_pb.js";
import { AllocationStatus } from "#gen/shop/inventory/v1/stock_pb.js";
import {
  OrderLifecycleService,
  ScreeningVerdict,
  StepDecision,
} from "#gen/shop/orders/v1/order_lifecycle_service_pb.js";
import { OrderStatus } from "#gen/shop/orders/v1/order_pb.js";
import { OrderStatisticsService } from "#gen/shop/orders/v1/order_statistics_service_pb.js";
import { PaymentStatus } from "#gen/shop/payments/v1/payment_pb.js";
import { PaymentService } from "#gen/shop/payments/v1/payment_service_pb.js";
import { ShortagePolicy } from "#gen/shop/type/v1/shortage_pb.js";
import type { Allocation } from "../../src/workflows/order/order-types.ts";
import type { OrderFacts, World } from "./world.ts";

const partial: ReadonlySet<ShortagePolicy> = new Set([
  ShortagePolicy.SHIP_AVAILABLE,
  ShortagePolicy.SHIP_AND_BACK_ORDER,
]);

const byId = { id: (request: { requestId: string }) => request.requestId };

/** What of an order it is about, as the request id names it: ":BER", ":BER:payment-1", ":amendment-1". */
function partOf(requestId: string): string {
  const [, , ...parts] = requestId.replace(/#\d+$/, "").split(":");
  return parts.map((part) => `:${part}`).join("");
}

/** The fakes of orders, inventory and payments. */
export function shopRoutes(router: ConnectRouter, world: World): void {
  router.service(OrderLifecycleService, {
    noteStepDecision: ({ requestId, orderId, step, decision }) => {
      world.took(orderId, `${StepDecision[decision]} ${step}`, requestId);
      return {};
    },
    batchScreenOrders: ({ requests }) =>
      world.batch(requests, {
        step: "screen",
        of: (request) => request,
        id: ({ orderId }) => `${orderId}:${Math.random()}`,
        apply: ({ orderId }) => {
          const found = world.screens.get(orderId);
          if (found === "refuse") return { refuse: "ORDER_NOT_ACCEPTED" };
          return { response: { verdict: found === "review" ? ScreeningVerdict.REVIEW : ScreeningVerdict.PASS } };
        },
      }),
    batchDecideExchanges: ({ requests }) =>
      world.batch(requests, {
        step: "exchange",
        of: (request) => request,
        id: ({ returnId }) => returnId,
        byState: true,
        apply: (decision) => world.exchange(decision),
      }),
    batchCompleteReturns: ({ requests }) =>
      world.batch(requests, {
        step: "complete",
        of: (request) => request,
        id: ({ returnId }) => returnId,
        apply: ({ orderId, returnId, rejected }) => {
          world.cameBack.get(orderId)?.delete(returnId);
          world.took(orderId, `${rejected ? "reject" : "complete"}:${returnId}`, `complete:${returnId}`);
          return { response: {} };
        },
      }),
    batchResolveParcels: ({ requests }) =>
      world.batch(requests, {
        step: "resolve",
        of: (request) => request,
        id: ({ orderId, locationId, fate }) => `${orderId}:${locationId}:${fate}`,
        byState: true,
        apply: (parcel) => world.resolve(parcel),
      }),
    batchTransitionOrders: ({ requests }) =>
      world.batch(requests, {
        step: "transition",
        of: (request) => request,
        id: ({ orderId, status }) => `${orderId}:${status}`,
        byState: true,
        apply: ({ orderId, status, failure, shipments, followed }) => {
          const made = world.rests.get(orderId);
          if (followed && made !== undefined && world.order(orderId).status === "PENDING")
            world.rests.set(orderId, made + 1);
          const parcels = shipments.map(({ locationId, amount }) => [locationId, amount?.amount ?? 0n] as const);
          if (status === OrderStatus.CONFIRMED) world.order(orderId).confirmedAs = Object.fromEntries(parcels);
          return world.move(orderId, OrderStatus[status] ?? "", failure?.reason ?? "");
        },
      }),
    batchCutOrders: ({ requests }) =>
      world.batch(requests, {
        step: "cut",
        of: (request) => request,
        id: ({ orderId }) => orderId,
        byState: true,
        apply: ({ orderId, missing }) => world.cut(orderId, missing),
      }),
    batchDecideAmendments: ({ requests }) =>
      world.batch(requests, {
        step: "decide",
        of: (request) => request,
        id: ({ orderId, number }) => `${orderId}:${number}`,
        byState: true,
        apply: ({ orderId, number, failure }) => world.decide({ orderId, number, refusal: failure?.reason ?? "" }),
      }),
  });
  router.service(OrderStatisticsService, { refreshOrderStatistics: () => world.counts() });
  inventoryRoutes(router, world);
  paymentRoutes(router, world);
}

function inventoryRoutes(router: ConnectRouter, world: World): void {
  const of = (request: { orderId: string; locationId?: string }) => request;
  router.service(InventoryService, {
    expireHolds: () => world.expire(),
    batchReserveStock: ({ requests }) =>
      world.batch(requests, {
        step: "reserve",
        of,
        ...byId,
        apply: ({ orderId, lines, requestId, shortagePolicy }) => {
          if (isReworded(world, { orderId, lines, requestId })) return { refuse: "REQUEST_ID_REUSED" };
          const order = world.order(orderId);
          if (order.released) return { refuse: "RESERVATION_ENDED" };
          const missing = world.missing.get(orderId) ?? [];
          const waits = shortagePolicy === ShortagePolicy.BACK_ORDER || world.rests.has(orderId);
          if (missing.length > 0 && partial.has(shortagePolicy)) {
            return partOfIt(world, { orderId, lines, requestId, missing });
          }
          if (world.short.has(orderId)) {
            if (!waits) return { refuse: "OUT_OF_STOCK" };
            const waitTime = timestampFromMs(Date.now());
            return { response: { reservation: { orderId, allocations: [], waitTime } }, passing: true };
          }
          const wanted = lines.map(({ sku, quantity }) => ({ sku, quantity: Number(quantity) }));
          setAside(order, world.allocate(orderId, wanted));
          world.took(orderId, "reserve", requestId);
          return { response: { reservation: reservation(orderId, order.parts, AllocationStatus.HELD) } };
        },
      }),
    batchConfirmReservations: ({ requests }) =>
      world.batch(requests, {
        step: "confirm",
        of,
        ...byId,
        apply: ({ orderId, requestId }) => {
          const order = world.order(orderId);
          const before = order.parts;
          const moved = world.confirms.get(orderId);
          if (moved) setAside(order, moved);
          const confirmed = stock(world, { orderId, effect: "confirm", id: requestId }, "firm");
          if ("refuse" in confirmed) return confirmed;
          const firm = reservation(orderId, order.parts, AllocationStatus.CONFIRMED);
          const elsewhere = before.filter(({ locationId }) => !order.stock.has(locationId));
          const gone = reservation(orderId, elsewhere, AllocationStatus.EXPIRED);
          return { response: { reservation: { orderId, allocations: [...gone.allocations, ...firm.allocations] } } };
        },
      }),
    batchCommitReservations: ({ requests }) =>
      world.batch(requests, {
        step: "commit",
        of,
        ...byId,
        apply: ({ orderId, locationId, requestId }) =>
          stock(world, { orderId, locationId, effect: "commit", id: requestId }, "committed"),
      }),
    batchRestock: ({ requests }) =>
      world.batch(requests, {
        step: "restock",
        of,
        ...byId,
        apply: ({ orderId, returnId, requestId }) => {
          world.took(orderId, `restock:${returnId}`, requestId);
          return { response: {} };
        },
      }),
    batchReleaseReservations: ({ requests }) =>
      world.batch(requests, {
        step: "release",
        of,
        ...byId,
        apply: ({ orderId, locationId, requestId }) => {
          if (!locationId) world.order(orderId).released = true;
          return stock(world, { orderId, locationId, effect: "release", id: requestId }, "released");
        },
      }),
    batchAmendReservations: ({ requests }) =>
      world.batch(requests, { step: "amend", of, ...byId, apply: (request) => amendStock(world, request) }),
    batchEndAmendments: ({ requests }) =>
      world.batch(requests, {
        step: requests[0]?.accepted ? "trim" : "unamend",
        of,
        ...byId,
        apply: (request) => endAmendment(world, request),
      }),
  });
}

interface ReserveWish {
  readonly requestId: string;
  readonly orderId: string;
  readonly lines: readonly { sku: string; quantity: bigint }[];
}

const wordsOf = new WeakMap<World, Map<string, string>>();

/** What is asked for again under the same request id has to be the same, as the contract wants. */
function isReworded(world: World, { requestId, orderId, lines }: ReserveWish): boolean {
  const known = wordsOf.get(world) ?? new Map<string, string>();
  wordsOf.set(world, known);
  const words = lines.map(({ sku, quantity }) => `${sku}:${quantity}`).join();
  const before = known.get(requestId) ?? words;
  known.set(requestId, before);
  if (before !== words) world.reworded.push(orderId);
  return before !== words;
}

/** Sets aside what is there, unless nothing is. */
function partOfIt(
  world: World,
  { orderId, lines, requestId, missing }: ReserveWish & { missing: readonly { sku: string; quantity: number }[] },
) {
  const order = world.order(orderId);
  const there = lines.flatMap(({ sku, quantity }) => {
    const less = missing.find((each) => each.sku === sku)?.quantity ?? 0;
    return Number(quantity) > less ? [{ sku, quantity: Number(quantity) - less }] : [];
  });
  if (there.length === 0) return { refuse: "OUT_OF_STOCK" };
  setAside(order, world.allocate(orderId, there));
  world.took(orderId, "reserve", requestId);
  const held = reservation(orderId, order.parts, AllocationStatus.HELD);
  const short = missing.map(({ sku, quantity }) => ({ sku, quantity: BigInt(quantity) }));
  return { response: { reservation: { ...held, missing: short } } };
}

interface AmendWish {
  readonly requestId: string;
  readonly orderId: string;
  readonly number: number;
  readonly lines: readonly { sku: string; quantity: bigint }[];
  readonly fixedLocationIds: readonly string[];
}

/** Takes what comes besides; gives nothing back yet. */
function amendStock(world: World, { requestId, orderId, number, lines, fixedLocationIds }: AmendWish) {
  const order = world.order(orderId);
  if (order.amendments.get(number)?.isOver) return { refuse: "AMENDMENT_ENDED" };
  const fixed = new Set(fixedLocationIds);
  const free = order.parts.filter((part) => !fixed.has(part.locationId) && order.stock.get(part.locationId) === "firm");
  const taken: Allocation[] = [];
  const given: Allocation[] = [];
  for (const sku of new Set([...lines, ...order.parts].map((each) => each.sku))) {
    const wanted = lines.reduce((sum, line) => (line.sku === sku ? sum + Number(line.quantity) : sum), 0);
    const more = wanted - countOf(order.parts, sku);
    if (more > 0) taken.push(...world.amends(orderId, { sku, quantity: more }));
    if (-more > countOf(free, sku)) return { refuse: "PART_FIXED" };
    let less = Math.max(0, -more);
    for (const part of free.filter((each) => each.sku === sku)) {
      const quantity = Math.min(less, part.quantity);
      if (quantity > 0) given.push({ ...part, quantity });
      less -= quantity;
    }
  }
  for (const part of taken) {
    add(order, part);
    order.stock.set(part.locationId, "firm");
  }
  order.amendments.set(number, { taken, given, isOver: false });
  world.took(orderId, "amend", requestId);
  const { allocations } = reservation(orderId, order.parts, AllocationStatus.CONFIRMED);
  const toParts = (parts: Allocation[]) => parts.map((part) => ({ ...part, quantity: BigInt(part.quantity) }));
  return {
    response: {
      reservation: { orderId, allocations, amendment: { number, taken: toParts(taken), given: toParts(given) } },
    },
  };
}

function endAmendment(
  world: World,
  request: { requestId: string; orderId: string; number: number; accepted: boolean },
) {
  const { requestId, orderId, number, accepted } = request;
  const order = world.order(orderId);
  const { taken = [], given = [], isOver = false } = order.amendments.get(number) ?? {};
  if (!isOver) {
    for (const part of accepted ? given : taken) add(order, { ...part, quantity: -part.quantity });
    for (const locationId of order.stock.keys()) {
      if (!order.parts.some((part) => part.locationId === locationId)) order.stock.delete(locationId);
    }
  }
  order.amendments.set(number, { taken: [], given: [], isOver: true });
  world.took(orderId, accepted ? "trim" : "unamend", requestId);
  return { response: {} };
}

function countOf(parts: readonly Allocation[], sku: string): number {
  return parts.reduce((sum, part) => (part.sku === sku ? sum + part.quantity : sum), 0);
}

function add(order: OrderFacts, more: Allocation): void {
  const own = order.parts.find(({ sku, locationId }) => sku === more.sku && locationId === more.locationId);
  const quantity = (own?.quantity ?? 0) + more.quantity;
  const others = order.parts.filter((part) => part !== own);
  order.parts = quantity > 0 ? [...others, { ...more, quantity }] : others;
}

function setAside(order: OrderFacts, parts: Allocation[]): void {
  order.parts = parts;
  order.stock = new Map(parts.map(({ locationId }) => [locationId, "held"]));
}

function reservation(orderId: string, parts: Allocation[], status: AllocationStatus) {
  return { orderId, allocations: parts.map((part) => ({ ...part, quantity: BigInt(part.quantity), status })) };
}

function stock(world: World, change: { orderId: string; locationId?: string; effect: string; id: string }, to: string) {
  const { orderId, locationId, effect, id } = change;
  const order = world.order(orderId);
  if (order.released && to !== "released") return { refuse: "RESERVATION_ENDED" };
  if (locationId && !order.stock.has(locationId)) return { refuse: "RESERVATION_PART_NOT_FOUND" };
  for (const [location, state] of order.stock) {
    if (state !== "committed" && (!locationId || location === locationId)) order.stock.set(location, to);
  }
  world.took(orderId, locationId ? `${effect}:${locationId}` : effect, id);
  return { response: {} };
}

interface AskedCredit {
  readonly requestId: string;
  readonly paymentId: string;
  readonly orderId: string;
  readonly sourcePaymentId: string;
  readonly amount?: { readonly amount: bigint };
}

/** A credit is about the order that it comes from, until it is there. */
function credit(world: World) {
  return {
    step: "credit",
    of: ({ sourcePaymentId }: AskedCredit) => ({ orderId: world.payment(sourcePaymentId).orderId }),
    ...byId,
    undecided: () => ({ payment: { status: PaymentStatus.PENDING } }),
    apply: ({ requestId, paymentId, orderId, sourcePaymentId, amount }: AskedCredit) => {
      const source = world.payment(sourcePaymentId);
      const worth = amount?.amount ?? 0n;
      const made = world.payment(paymentId, orderId);
      if (made.shown.status === PaymentStatus.VOIDED) return { refuse: "PAYMENT_VOIDED" };
      if (worth > source.captured - source.refunded - source.credited) return { refuse: "AMOUNT_EXCEEDS_CAPTURE" };
      source.credited += worth;
      Object.assign(made, { authorized: made.authorized + worth, sourceId: sourcePaymentId });
      world.order(orderId).authorized += worth;
      made.shown.status = PaymentStatus.AUTHORIZED;
      world.took(source.orderId, `credit${partOf(requestId)}`, requestId);
      return { response: { payment: made.shown } };
    },
  };
}

function paymentRoutes(router: ConnectRouter, world: World): void {
  const undecided = () => ({ pending: true });
  const payment = {
    of: ({ paymentId }: { paymentId: string }) => ({ orderId: world.payment(paymentId).orderId }),
    ...byId,
  };
  const left = (paymentId: string) => {
    const { authorized, captured, voided } = world.payment(paymentId);
    return authorized - captured - voided;
  };
  const change = (field: "captured" | "voided" | "refunded", step: string) => ({
    step,
    ...payment,
    undecided,
    apply: (request: { paymentId: string; requestId: string; amount?: { amount: bigint } }) => {
      const own = world.payment(request.paymentId);
      const order = world.order(own.orderId);
      const amount = request.amount?.amount ?? left(request.paymentId);
      const free = field === "refunded" ? own.captured - own.refunded - own.credited : left(request.paymentId);
      if (amount > free) return { refuse: "AMOUNT_EXCEEDS_AUTHORIZATION" };
      const freed = field === "captured" && own.shown.holds > 0 ? free - amount : 0n;
      for (const each of [own, order]) {
        each[field] += amount;
        each.voided += freed;
      }
      if (field === "voided" && !request.amount && own.orderId === request.paymentId) order.paymentVoided = true;
      if (field === "voided" && !request.amount) own.shown.status = PaymentStatus.VOIDED;
      world.took(own.orderId, `${step}${partOf(request.requestId)}`, request.requestId);
      return { response: { pending: false, payment: { holds: own.shown.holds } } };
    },
  });
  router.service(PaymentService, {
    batchAuthorizePayments: ({ requests }) => {
      if (requests[0]?.sourcePaymentId) return world.batch(requests, credit(world));
      return world.batch(requests, {
        step: "authorize",
        of: (request) => {
          world.payment(request.paymentId, request.orderId);
          return request;
        },
        ...byId,
        undecided: () => ({ payment: { status: PaymentStatus.PENDING } }),
        apply: ({ orderId, paymentId, amount: asked, parcels, singleCapture, requestId }) => {
          const order = world.order(orderId);
          if (order.paymentVoided) return { refuse: "PAYMENT_VOIDED" };
          const isOnce = singleCapture || world.capturesOnce;
          const amount = (isOnce ? parcels[0] : undefined) ?? asked?.amount ?? 0n;
          order.authorized += amount;
          const payment = world.payment(paymentId, orderId);
          payment.authorized += amount;
          const holds = isOnce ? Math.max(1, parcels.length) : 0;
          Object.assign(payment.shown, { status: PaymentStatus.AUTHORIZED, holds });
          payment.shown.amount.amount = amount;
          world.took(orderId, `authorize${partOf(requestId)}`, requestId);
          return { response: { payment: payment.shown } };
        },
      });
    },
    batchCapturePayments: ({ requests }) => world.batch(requests, change("captured", "capture")),
    batchVoidPayments: ({ requests }) => world.batch(requests, change("voided", "void")),
    batchRefundPayments: async ({ requests }) => {
      for (const { paymentId, grantedBy } of requests) if (grantedBy) world.grantedBy.set(paymentId, grantedBy);
      const waiting = requests.some(({ paymentId }) => world.approvals.get(paymentId) === "waiting");
      if (!waiting) return await world.batch(requests, change("refunded", "refund"));
      const value = { pending: true, refundRequest: {} };
      return { outcomes: requests.map(() => ({ outcome: { case: "response" as const, value } })) };
    },
  });
}
