import { toBinary, toJsonString } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import {
  type BulkCreateOrdersRequest,
  type CreateOrderOutcome,
  CreateOrderOutcomeSchema,
  type CreateOrderRequest,
  CreateOrderResponseSchema,
  WaitFor,
} from "#gen/shop/orders/v1/order_service_pb.js";
import { PlatformErrorReason } from "#gen/shop/type/v1/platform_error_reason_pb.js";
import { badRequest } from "#platform/bad-request.ts";
import { answerEach, type EntryOutcome } from "#platform/batch/batch-call.ts";
import { withSubject } from "#platform/context.ts";
import { PlatformError, toOwnFailure } from "#platform/errors.ts";
import { isJsonCall } from "#platform/interceptors/known-call.ts";
import { usualLimitBytes } from "#platform/interceptors/whole-page.ts";
import { activeSpan } from "#platform/trace/spans.ts";
import { whole } from "#platform/whole.ts";
import { orderNotFound } from "../order/errors.ts";
import type { OrderRepository } from "../order/order.repository.ts";
import type { Order } from "../order/order.ts";
import type { Accepted, OrderIntake } from "../order/order-intake.ts";
import { toKeyedOrder, toProto } from "./order-proto.ts";
import { patienceMs } from "./patience.ts";

/** What it works with. */
export interface BulkOrdersOptions {
  readonly intake: OrderIntake;
  readonly repository: Pick<OrderRepository, "find">;
  /** The largest message, in bytes. */
  readonly maxMessageBytes: number;
}

/** Creates many orders of one call, each with its own outcome, as the proto says. */
export class BulkOrders {
  readonly #options: BulkOrdersOptions;

  constructor(options: BulkOrdersOptions) {
    this.#options = options;
  }

  /** The outcomes, in the order of the requests. What was not begun shortly before the call's deadline is given up. */
  async create(bulk: BulkCreateOrdersRequest, context: HandlerContext): Promise<CreateOrderOutcome[]> {
    const { intake, maxMessageBytes } = this.#options;
    const deadline = Date.now() + patienceMs();
    const isTraced = bulk.traceparents.length > 0;
    const about = {
      method: "CreateOrder",
      // An order has its id when it is known to be one.
      subjectOf: () => ({}),
      failureOf: toOwnFailure,
      width: intake.width,
    };
    const accepted = await answerEach(bulk, about, async (request: CreateOrderRequest, index) => {
      if (request.waitFor > WaitFor.ACCEPTED) throw waitsForTooMuch(index, context);
      const order = toKeyedOrder(request);
      if (isTraced) activeSpan()?.setAttribute("order.id", order.orderId);
      return await withSubject({ "order.id": order.orderId }, () => intake.accept(order, { deadline }));
    });
    return fitting(await this.#told(accepted), {
      mostBytes: Math.min(maxMessageBytes, usualLimitBytes),
      sizeOf: isJsonCall(context) ? jsonSize : binarySize,
    });
  }

  /** Orders of an earlier call are read together, as they stand now. */
  async #told(outcomes: readonly EntryOutcome<Accepted>[]): Promise<CreateOrderOutcome[]> {
    const before = outcomes.flatMap(({ outcome }) => {
      return outcome.case === "response" && !outcome.value.order ? [outcome.value.orderId] : [];
    });
    const found = before.length > 0 ? await this.#options.repository.find([...new Set(before)]) : [];
    const known = new Map(found.map((order) => [order.orderId, order]));
    return outcomes.map(({ outcome }) => {
      if (outcome.case === "failure") return whole(CreateOrderOutcomeSchema, { outcome });
      const order = outcome.value.order ?? known.get(outcome.value.orderId);
      if (!order) throw orderNotFound(outcome.value.orderId);
      return created(order);
    });
  }
}

function created(order: Order): CreateOrderOutcome {
  const value = whole(CreateOrderResponseSchema, { order: toProto(order) });
  return whole(CreateOrderOutcomeSchema, { outcome: { case: "response", value } });
}

function waitsForTooMuch(index: number, context: HandlerContext): Error {
  const field = `requests[${index}].${isJsonCall(context) ? "waitFor" : "wait_for"}`;
  const description = "must be ACCEPTED or nothing: watch the orders that are to be waited for";
  return badRequest(`${field}: ${description}`, [{ field, description, reason: "bulk.wait_for" }]);
}

/** Bytes that an entry takes in its list besides its own: the field's number and the length, or a comma. */
const beside = 6;

function binarySize(outcome: CreateOrderOutcome): number {
  return toBinary(CreateOrderOutcomeSchema, outcome).length + beside;
}

function jsonSize(outcome: CreateOrderOutcome): number {
  return Buffer.byteLength(toJsonString(CreateOrderOutcomeSchema, outcome)) + beside;
}

interface Fit {
  readonly mostBytes: number;
  readonly sizeOf: (outcome: CreateOrderOutcome) => number;
}

/** The outcomes as far as they fit into a message; the others say so. Orders that exist must not be lost to their caller. */
function fitting(outcomes: CreateOrderOutcome[], { mostBytes, sizeOf }: Fit): CreateOrderOutcome[] {
  const { ANSWER_TOO_LARGE } = PlatformErrorReason;
  const error = new PlatformError(ANSWER_TOO_LARGE, "the answer is full: repeat this entry", {}, { retryAfterMs: 0 });
  const instead = whole(CreateOrderOutcomeSchema, { outcome: { case: "failure", value: toOwnFailure(error) } });
  const least = sizeOf(instead);
  let left = mostBytes - least * (outcomes.length + 1);
  return outcomes.map((outcome) => {
    const more = Math.max(0, sizeOf(outcome) - least);
    if (more > left) return instead;
    left -= more;
    return outcome;
  });
}
