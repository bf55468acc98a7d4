import { setTimeout as sleep } from "node:timers/promises";
import { type Client, Code, ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.js";
import { SagaErrorReason, SagaErrorReasonSchema } from "#gen/shop/sagas/v1/saga_error_reason_pb.js";
import {
  type CancelOrderSagaRequest,
  CancelOrderSagaRequestSchema,
  type SagaService,
} from "#gen/shop/sagas/v1/saga_service_pb.js";
import { PlatformErrorReason } from "#gen/shop/type/v1/platform_error_reason_pb.js";
import { remainingMs } from "#platform/context.ts";
import type { Keyed } from "#platform/database/idempotency.ts";
import { DomainError, isCallerFault, PlatformError } from "#platform/errors.ts";
import { whole } from "#platform/whole.ts";
import type { OrderFollower, Patience } from "../follow/order-follower.ts";
import type { LegacySagas } from "../legacy/legacy-sagas.ts";
import type { AuditedRequests } from "../order/audited-requests.repository.ts";
import { saidNothing } from "../order/cancel-reason.ts";
import { isSettled } from "../order/cancellation.ts";
import { notCancellable } from "../order/errors.ts";
import { isCancelled, isTerminal, type Order } from "../order/order.ts";
import type { CancellationRepository, CancelWish, Standing } from "./cancellation.repository.ts";

/** What a cancellation works with. */
export interface OrderCancellationOptions {
  readonly sagas: Pick<Client<typeof SagaService>, "cancelOrderSaga">;
  readonly requests: AuditedRequests<CancelOrder>;
  readonly cancellations: Pick<CancellationRepository, "wish" | "accept" | "recall" | "note" | "explain">;
  readonly follower: OrderFollower;
  readonly legacy: Pick<LegacySagas, "ensureStarted">;
  /** Told that so many orders have to be carried. */
  readonly onAccepted: (count: number) => void;
}

/** A cancellation as its caller asks for it. */
export interface CancelOrder extends Keyed {
  readonly orderId: string;
  readonly reason: string;
}

/** What a workflow says to a cancellation: it does it, it will not, or it cannot be asked now. */
type Answer = "accepted" | "refused" | "unknown";

/** Between two looks at an order whose workflow begins or ends at this moment, in milliseconds. */
const firstPauseMs = 20;
const maxPauseMs = 500;
/** What is left of the call's time for its answer, in milliseconds. */
const answerMs = 250;
/** When a workflow is lost, its orders are given back within some seconds. */
const retryAfterMs = 5_000;

/**
 * Withdraws orders. Of one of which parcels have left, what can be turned back is, and the rest is returned. One that rests accepts it in its row; one that a workflow carries is withdrawn by that, which alone knows
 * whether a parcel leaves at this moment. What was accepted is done, whatever becomes of the workflow.
 */
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
    const { cancellations, follower, requests } = this.#options;
    using following = follower.follow(request.orderId);
    const order = await follower.get(request.orderId);
    const came = await requests.remember(request);
    // A repetition after the end finds what the first call has brought about.
    if (came === "repeated" && isCancelled(order.status)) return order;
    const wish = await cancellations.wish(request);
    try {
      const mayBeDone = came === "repeated" || !isTerminal(order.status);
      await this.#accept(request, { wish, mayBeDone, signal: patience.signal });
      await cancellations.explain(wish);
    } catch (error) {
      const refused = error instanceof DomainError && isCallerFault(error.code);
      if (refused && came === "first") await requests.forget(request);
      throw error;
    }
    const now = await follower.get(request.orderId);
    if (isDone(now)) return now;
    return (await following.until(isDone, patience)) ?? follower.get(request.orderId);
  }

  /**
   * Returns once the cancellation is accepted. An order that just leaves or enters an episode is looked at again, and so is one
   * whose workflow is gone, until the next one has settled it.
   *
   * @param mayBeDone whether an order that is cancelled is so by this request: an answer to it, or to the workflow's, was lost
   */
  async #accept(
    request: CancelOrder,
    { wish, mayBeDone, signal }: { wish: CancelWish; mayBeDone: boolean; signal: AbortSignal },
  ): Promise<void> {
    const { cancellations, onAccepted } = this.#options;
    let asked: { episodeId: string; answer: Answer; cause: unknown } | undefined;
    for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(2 * pauseMs, maxPauseMs)) {
      const standing = await cancellations.accept(wish);
      if (standing.accepted) return onAccepted(1);
      if (mayBeDone && isCancelled(standing.status)) return;
      if (standing.legacySagaId !== undefined) {
        return await this.#askLegacy(request, { sagaId: standing.legacySagaId, mayBeDone, status: standing.status });
      }
      if (isTerminal(standing.status)) throw notCancellable(request.orderId, standing.status);
      // It was the workflow that accepted it, and has settled since.
      if (asked?.answer === "accepted" && !standing.episodeId && !standing.lost) return;
      if (standing.wanted) return;
      if (standing.lost) {
        await this.#pause(pauseMs, signal, asked?.cause);
        continue;
      }
      const { episodeId } = standing;
      const refused = asked?.answer === "refused" && asked.episodeId === episodeId;
      if (!episodeId || refused) return await this.#recall(wish, asked?.cause);
      if (asked?.answer === "unknown") await this.#pause(pauseMs, signal, asked.cause);
      asked = { episodeId, ...(await this.#ask(request, episodeId)) };
      if (asked.answer === "accepted" && (await cancellations.note(wish, episodeId))) return;
    }
  }

  /** A parcel has left, or leaves at this moment: what becomes of the order is found out. @throws NOT_CANCELLABLE when nothing is under way */
  async #recall(wish: CancelWish, cause: unknown): Promise<void> {
    const { cancellations, onAccepted } = this.#options;
    const { accepted, wanted, status } = await cancellations.recall(wish);
    if (accepted) onAccepted(1);
    else if (!wanted) throw notCancellable(wish.orderId, status, cause);
  }

  async #ask(request: CancelOrder, sagaId: string): Promise<{ answer: Answer; cause: unknown }> {
    try {
      await this.#options.sagas.cancelOrderSaga(toSagaRequest(request, sagaId));
      return { answer: "accepted", cause: undefined };
    } catch (error) {
      if (isRefusal(error, SagaErrorReason.NOT_CANCELLABLE)) return { answer: "refused", cause: error };
      const busy = error instanceof ConnectError && error.code === Code.ResourceExhausted;
      if (busy || isRefusal(error, SagaErrorReason.SAGA_NOT_FOUND)) return { answer: "unknown", cause: error };
      throw error;
    }
  }

  /** @throws UNAVAILABLE when the call's time is over */
  async #pause(pauseMs: number, signal: AbortSignal, cause: unknown): Promise<void> {
    if (remainingMs() < pauseMs + answerMs) throw unreachable(cause);
    await sleep(pauseMs, undefined, { signal });
  }

  /** A workflow of the kind before that is gone is followed by none: that it is not known how far it came does not pass by itself. */
  async #askLegacy(
    request: CancelOrder,
    { sagaId, status, mayBeDone }: { sagaId: string; status: Standing["status"]; mayBeDone: boolean },
  ): Promise<void> {
    const { legacy, follower, sagas } = this.#options;
    const { orderId } = request;
    if (isTerminal(status)) throw notCancellable(orderId, status);
    await legacy.ensureStarted(sagaId);
    try {
      await sagas.cancelOrderSaga(toSagaRequest(request, sagaId));
    } catch (error) {
      const now = await follower.get(orderId);
      if (mayBeDone && isCancelled(now.status)) return;
      const gone = isRefusal(error, SagaErrorReason.SAGA_NOT_FOUND);
      const refused = isRefusal(error, SagaErrorReason.NOT_CANCELLABLE) || (gone && isTerminal(now.status));
      if (refused) throw notCancellable(orderId, now.status, error);
      throw gone ? unreachable(error) : error;
    }
  }
}

/** Whether it is known what becomes of all of the order. */
function isDone({ status, cancellation }: Order): boolean {
  return isTerminal(status) || (cancellation !== undefined && isSettled(cancellation));
}

function toSagaRequest({ requestId, orderId }: CancelOrder, sagaId: string): CancelOrderSagaRequest {
  return whole(CancelOrderSagaRequestSchema, { requestId, orderId, sagaId, reason: saidNothing });
}

function unreachable(cause: unknown): Error {
  const options = { cause, retryAfterMs };
  const message = "the workflow of the order cannot be reached";
  return new PlatformError(PlatformErrorReason.UNAVAILABLE, message, { dependency: "worker" }, options);
}

function isRefusal(error: unknown, reason: SagaErrorReason): boolean {
  if (!(error instanceof ConnectError)) return false;
  const name = SagaErrorReasonSchema.value[reason]?.localName;
  return error.findDetails(ErrorInfoSchema).some((info) => info.domain === "sagas.shop" && info.reason === name);
}
