import { type Client, ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.js";
import { SagaErrorReason, SagaErrorReasonSchema } from "#gen/shop/sagas/v1/saga_error_reason_pb.js";
import type { SagaService } from "#gen/shop/sagas/v1/saga_service_pb.js";
import type { Keyed } from "#platform/database/idempotency.ts";
import { DomainError } from "#platform/errors.ts";
import type { OrderFollower, Patience } from "../follow/order-follower.ts";
import type { AuditedRequests } from "../order/audited-requests.repository.ts";
import { notCancellable } from "../order/errors.ts";
import { isCancelled, isTerminal, type Order } from "../order/order.ts";
import type { Dispatcher } from "./dispatcher.ts";
import type { SagaOutbox } from "./saga-outbox.repository.ts";
import { toCancelRequest } from "./saga-proto.ts";

/** What a cancellation works with. */
export interface OrderCancellationOptions {
  readonly sagas: Pick<Client<typeof SagaService>, "cancelOrderSaga">;
  readonly requests: AuditedRequests<CancelOrder>;
  readonly follower: OrderFollower;
  readonly dispatcher: Pick<Dispatcher, "start" | "underWay">;
  readonly outbox: Pick<SagaOutbox, "find">;
}

/** A cancellation as its caller asks for it. */
export interface CancelOrder extends Keyed {
  readonly orderId: string;
  readonly reason: string;
}

/** Withdraws orders through their sagas, which alone know what has to be given back. */
export class OrderCancellation {
  readonly #options: OrderCancellationOptions;

  constructor(options: OrderCancellationOptions) {
    this.#options = options;
  }

  /**
   * Has an order cancelled, and waits a little for that to be done. Returns the order as it stands then.
   *
   * @throws ORDER_NOT_FOUND, NOT_CANCELLABLE, REQUEST_ID_REUSED, and what SagaService answers while it is away
   */
  async cancel(request: CancelOrder, patience: Patience): Promise<Order> {
    const { follower, requests } = this.#options;
    using following = follower.follow(request.orderId);
    const order = await follower.get(request.orderId);
    const came = await requests.remember(request);
    // A repetition after the end finds what the first call has brought about.
    if (came === "repeated" && isCancelled(order.status)) return order;
    try {
      await this.#ask(request, order);
    } catch (error) {
      if (error instanceof DomainError && came === "first") await requests.forget(request.requestId);
      throw error;
    }
    return (await following.until(({ status }) => isTerminal(status), patience)) ?? follower.get(request.orderId);
  }

  async #ask({ requestId, orderId, reason }: CancelOrder, { status, sagaId }: Order): Promise<void> {
    if (isTerminal(status)) throw notCancellable(orderId, status);
    await this.#ensureStarted(sagaId);
    try {
      await this.#options.sagas.cancelOrderSaga(toCancelRequest({ requestId, orderId, sagaId, reason }));
    } catch (error) {
      const now = await this.#options.follower.get(orderId);
      // A workflow that is gone has ended with its orders.
      const ended = isTerminal(now.status) && isRefusal(error, SagaErrorReason.SAGA_NOT_FOUND);
      if (ended || isRefusal(error, SagaErrorReason.NOT_CANCELLABLE)) throw notCancellable(orderId, now.status, error);
      throw error;
    }
  }

  /** A saga that the worker does not have yet could not be cancelled. */
  async #ensureStarted(sagaId: string): Promise<void> {
    const { dispatcher, outbox } = this.#options;
    const underWay = dispatcher.underWay(sagaId);
    if (underWay) return underWay;
    const batch = await outbox.find(sagaId);
    if (batch) await dispatcher.start(batch);
  }
}

function isRefusal(error: unknown, reason: SagaErrorReason): boolean {
  if (!(error instanceof ConnectError)) return false;
  const name = SagaErrorReasonSchema.value[reason]?.localName;
  return error.findDetails(ErrorInfoSchema).some((info) => info.domain === "sagas.shop" && info.reason === name);
}
