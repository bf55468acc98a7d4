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

const byId = { id: (request: { requestId: string }) => request.requestId };
const payment = { of: (request: { paymentId: string }) => ({ orderId: request.paymentId }), ...byId };

function locationOf(requestId: string): string {
  const [, , location] = requestId.replace(/#\d+$/, "").split(":");
  return location ? `:${location}` : "";
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
    batchTransitionOrders: ({ requests }) =>
      world.batch(requests, {
        step: "transition",
        of: (request) => request,
        id: ({ orderId, status }) => `${orderId}:${status}`,
        byState: true,
        apply: ({ orderId, status, failure, shipments }) => {
          const parcels = shipments.map(({ locationId, amount }) => [locationId, amount?.amount ?? 0n] as const);
          if (status === OrderStatus.CONFIRMED) world.order(orderId).confirmedAs = Object.fromEntries(parcels);
          return world.move(orderId, OrderStatus[status] ?? "", failure?.reason ?? "");
        },
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
          const order = world.order(orderId);
          if (order.released) return { refuse: "RESERVATION_ENDED" };
          if (world.short.has(orderId)) {
            if (shortagePolicy !== ShortagePolicy.BACK_ORDER) return { refuse: "OUT_OF_STOCK" };
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
  });
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

function paymentRoutes(router: ConnectRouter, world: World): void {
  const undecided = () => ({ pending: true });
  const left = (paymentId: string) => {
    const { authorized, captured, voided } = world.order(paymentId);
    return authorized - captured - voided;
  };
  const change = (field: "captured" | "voided" | "refunded", step: string) => ({
    step,
    ...payment,
    undecided,
    apply: (request: { paymentId: string; requestId: string; amount?: { amount: bigint } }) => {
      const order = world.order(request.paymentId);
      const amount = request.amount?.amount ?? left(request.paymentId);
      const free = field === "refunded" ? order.captured - order.refunded : left(request.paymentId);
      if (amount > free) return { refuse: "AMOUNT_EXCEEDS_AUTHORIZATION" };
      order[field] += amount;
      if (field === "voided" && !request.amount) order.paymentVoided = true;
      world.took(request.paymentId, `${step}${locationOf(request.requestId)}`, request.requestId);
      return { response: { pending: false } };
    },
  });
  router.service(PaymentService, {
    batchAuthorizePayments: ({ requests }) =>
      world.batch(requests, {
        step: "authorize",
        ...payment,
        undecided: () => ({ payment: { status: PaymentStatus.PENDING } }),
        apply: ({ orderId, amount, requestId }) => {
          const order = world.order(orderId);
          if (order.paymentVoided) return { refuse: "PAYMENT_VOIDED" };
          order.authorized += amount?.amount ?? 0n;
          world.took(orderId, "authorize", requestId);
          return { response: { payment: { status: PaymentStatus.AUTHORIZED } } };
        },
      }),
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
