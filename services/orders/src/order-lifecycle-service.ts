import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import type {
  BatchTransitionOrdersRequest,
  OrderLifecycleService,
} from "#gen/shop/orders/v1/order_lifecycle_service_pb.js";
import { toFailure } from "#platform/errors.ts";
import type { OrderMover } from "./order-mover.ts";
import { toMove, toStatusProto } from "./order-proto.ts";
import type { Moved } from "./order-transition.repository.ts";

/** OrderLifecycleService, as its proto says. */
export class OrderLifecycleApi implements ServiceImpl<typeof OrderLifecycleService> {
  readonly #mover: OrderMover;

  constructor(mover: OrderMover) {
    this.#mover = mover;
  }

  /** Moves many orders to their next status, each with its own outcome. */
  async batchTransitionOrders({ requests }: BatchTransitionOrdersRequest, { signal }: HandlerContext) {
    const moves = requests.map((request) => this.#mover.move(toMove(request), signal));
    const results = await Promise.allSettled(moves);
    return { outcomes: results.map((result) => ({ outcome: toOutcome(result) })) };
  }
}

function toOutcome(result: PromiseSettledResult<Moved>) {
  if (result.status === "rejected") return { case: "failure" as const, value: toFailure(result.reason) };
  const { status, revision } = result.value;
  return { case: "response" as const, value: { status: toStatusProto(status), revision } };
}
