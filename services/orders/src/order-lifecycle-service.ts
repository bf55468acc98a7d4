import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import type {
  BatchTransitionOrdersRequest,
  OrderLifecycleService,
  TransitionOrderRequest,
} from "#gen/shop/orders/v1/order_lifecycle_service_pb.js";
import { answerEach } from "#platform/list-call.ts";
import type { OrderMover } from "./order-mover.ts";
import { toMove, toStatusProto } from "./order-proto.ts";

const transition = {
  method: "TransitionOrder",
  idsOf: ({ orderId }: TransitionOrderRequest) => ({ "order.id": orderId }),
};

/** OrderLifecycleService, as its proto says. */
export class OrderLifecycleApi implements ServiceImpl<typeof OrderLifecycleService> {
  readonly #mover: OrderMover;

  constructor(mover: OrderMover) {
    this.#mover = mover;
  }

  /** Moves many orders to their next status, each with its own outcome. */
  async batchTransitionOrders(list: BatchTransitionOrdersRequest, { signal }: HandlerContext) {
    const outcomes = await answerEach(list, transition, async (request) => {
      const { status, revision } = await this.#mover.move(toMove(request), signal);
      return { status: toStatusProto(status), revision };
    });
    return { outcomes };
  }
}
