import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import {
  type AmendOrderRequest,
  AmendOrderRequestSchema,
  AmendOrderResponseSchema,
  type BulkCreateOrdersRequest,
  BulkCreateOrdersResponseSchema,
  type CancelOrderLinesRequest,
  CancelOrderLinesRequestSchema,
  CancelOrderLinesResponseSchema,
  type CancelOrderRequest,
  CancelOrderRequestSchema,
  CancelOrderResponseSchema,
  type CreateOrderRequest,
  CreateOrderResponseSchema,
  type DeleteOrderRequest,
  DeleteOrderRequestSchema,
  DeleteOrderResponseSchema,
  type GetOrderRequest,
  GetOrderResponseSchema,
  type ListOrdersRequest,
  ListOrdersResponseSchema,
  type OrderService,
  WaitFor,
  type WatchOrderRequest,
  WatchOrderResponseSchema,
} from "#gen/shop/orders/v1/order_service_pb.js";
import { requestContext, withSubject } from "#platform/context.ts";
import { fingerprint } from "#platform/database/idempotency.ts";
import { isId } from "#platform/id.ts";
import type { Json, PageTokens } from "#platform/page-token.ts";
import { activeSpan } from "#platform/trace/spans.ts";
import { whole } from "#platform/whole.ts";
import type { AmendRequest, OrderAmending } from "../amend/order-amending.ts";
import type { OrderCancellation } from "../cancel/order-cancellation.ts";
import type { OrderFollower } from "../follow/order-follower.ts";
import type { KeyedOrder, OrderFilter, OrderRepository } from "../order/order.repository.ts";
import { isAnswered, type Order } from "../order/order.ts";
import type { OrderDeletion } from "../order/order-deletion.repository.ts";
import type { OrderIntake } from "../order/order-intake.ts";
import type { BulkOrders } from "./bulk-orders.ts";
import { toAddress, toFilter, toKeyedOrder, toPricedOrder, toProto } from "./order-proto.ts";
import { patienceMs } from "./patience.ts";

/** What the service works with. */
export interface OrderApiOptions {
  readonly intake: OrderIntake;
  readonly bulk: BulkOrders;
  readonly follower: OrderFollower;
  readonly cancellation: OrderCancellation;
  readonly amending: Pick<OrderAmending, "amend">;
  readonly deletion: OrderDeletion;
  readonly repository: OrderRepository;
  readonly pageTokens: PageTokens;
}

/** From the contract: the longest wait for the saga's first answer, in milliseconds. */
const maxDecisionMs = 30_000;
/** How long a cancellation waits to be done rather than accepted, in milliseconds. */
const maxCancellationMs = 1_000;
/** How long an amendment waits to be decided rather than accepted, in milliseconds. */
const maxAmendmentMs = 3_000;

/** OrderService, as its proto says. */
export class OrderApi implements ServiceImpl<typeof OrderService> {
  readonly #options: OrderApiOptions;

  constructor(options: OrderApiOptions) {
    this.#options = options;
  }

  /** Creates an order and has it carried. */
  async createOrder(request: CreateOrderRequest, context: HandlerContext) {
    const order = toKeyedOrder(request);
    return await aboutOrder(order.orderId, async () => {
      const wait = request.waitFor === WaitFor.CONFIRMED;
      const created = wait ? await this.#createAndWait(order, context) : await this.#create(order);
      return whole(CreateOrderResponseSchema, { order: toProto(created) });
    });
  }

  /** Creates many orders, each with its own outcome. */
  async bulkCreateOrders(request: BulkCreateOrdersRequest, context: HandlerContext) {
    const outcomes = await this.#options.bulk.create(request, context);
    return whole(BulkCreateOrdersResponseSchema, { outcomes });
  }

  /** Returns one order. */
  async getOrder({ orderId }: GetOrderRequest) {
    const order = await aboutOrder(orderId, () => this.#options.follower.get(orderId));
    return whole(GetOrderResponseSchema, { order: toProto(order) });
  }

  /** Lists orders, the newest first. */
  async listOrders(request: ListOrdersRequest) {
    const { repository, pageTokens } = this.#options;
    const filter = toFilter(request, requestContext().owner);
    if (!filter) return whole(ListOrdersResponseSchema, { orders: [], nextPageToken: "" });
    const { items, nextPageToken } = await pageTokens.page(request, {
      filter: tokenFilter(filter),
      place: (cursor) => (typeof cursor === "string" && isId(cursor) ? cursor : undefined),
      read: (page) => repository.list(filter, page),
      cursorOf: ({ orderId }) => orderId,
    });
    return whole(ListOrdersResponseSchema, { orders: items.map(toProto), nextPageToken });
  }

  /** Cancels an order that has not shipped. */
  async cancelOrder(request: CancelOrderRequest, { signal }: HandlerContext) {
    const { requestId, orderId, reason } = request;
    const cancel = { requestId, orderId, reason, fingerprint: fingerprint(CancelOrderRequestSchema, request) };
    const patience = { forMs: patienceMs(maxCancellationMs), signal };
    const order = await aboutOrder(orderId, () => this.#options.cancellation.cancel(cancel, patience));
    return whole(CancelOrderResponseSchema, { order: toProto(order) });
  }

  /** Amends an order of which something is still to be packed. */
  async amendOrder(request: AmendOrderRequest, context: HandlerContext) {
    const { requestId, orderId, shippingAddress, cardToken, revision } = request;
    const order = await this.#amend(context, {
      kind: "amend",
      requestId,
      orderId,
      priced: request.lines.length > 0 ? toPricedOrder(request) : undefined,
      shippingAddress: shippingAddress && toAddress(shippingAddress),
      cardToken,
      revision,
      fingerprint: fingerprint(AmendOrderRequestSchema, request),
    });
    return whole(AmendOrderResponseSchema, { order: toProto(order) });
  }

  /** Cancels single lines of an order, or some pieces of them. */
  async cancelOrderLines(request: CancelOrderLinesRequest, context: HandlerContext) {
    const { requestId, orderId, lines, reason, revision } = request;
    const order = await this.#amend(context, {
      kind: "cancel lines",
      requestId,
      orderId,
      lines,
      reason,
      revision,
      fingerprint: fingerprint(CancelOrderLinesRequestSchema, request),
    });
    return whole(CancelOrderLinesResponseSchema, { order: toProto(order) });
  }

  /** Deletes an order that came to nothing. */
  async deleteOrder(request: DeleteOrderRequest) {
    const { requestId, orderId } = request;
    const wanted = { requestId, orderId, fingerprint: fingerprint(DeleteOrderRequestSchema, request) };
    await aboutOrder(orderId, () => this.#options.deletion.delete(wanted));
    return whole(DeleteOrderResponseSchema, {});
  }

  /** Sends the order as it stands, then again after each change. */
  async *watchOrder({ orderId }: WatchOrderRequest, { signal }: HandlerContext) {
    for await (const order of this.#options.follower.watch(orderId, signal)) {
      yield whole(WatchOrderResponseSchema, { order: toProto(order) });
    }
  }

  #amend({ signal }: HandlerContext, request: AmendRequest): Promise<Order> {
    const patience = { forMs: patienceMs(maxAmendmentMs), signal };
    return aboutOrder(request.orderId, () => this.#options.amending.amend(request, patience));
  }

  /** The call's signal is made when it is asked for: a call that takes a few milliseconds does without. */
  async #create(order: KeyedOrder): Promise<Order> {
    const { intake, follower } = this.#options;
    const { orderId, order: accepted } = await intake.accept(order);
    return accepted ?? (await follower.get(orderId));
  }

  /** Follows the order from before it is there, so that no change can be missed. */
  async #createAndWait(order: KeyedOrder, { signal }: HandlerContext): Promise<Order> {
    const { intake, follower } = this.#options;
    using following = follower.follow(order.orderId);
    const { orderId, order: accepted } = await intake.accept(order, { signal, patient: true });
    const patience = { forMs: patienceMs(maxDecisionMs), signal };
    if (!accepted) return follower.decided(orderId, patience);
    return (await following.until(isAnswered, patience)) ?? follower.get(orderId);
  }
}

/** Runs `fn` so that the call's span and log lines name the order. */
function aboutOrder<T>(orderId: string, fn: () => Promise<T>): Promise<T> {
  activeSpan()?.setAttribute("order.id", orderId);
  return withSubject({ "order.id": orderId }, fn);
}

function tokenFilter({ customerId, status, createdFrom, createdUntil }: OrderFilter): Json {
  return ["ListOrders", customerId ?? "", status ?? "", createdFrom ?? null, createdUntil ?? null];
}
