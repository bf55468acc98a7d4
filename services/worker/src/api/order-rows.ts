import { type Client, Code, ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.js";
import {
  DecideParkedStepRequestSchema,
  GetOrderSagaRequestSchema,
  ListParkedOrdersRequestSchema,
  type OrderEpisodeService,
  type OrderSaga,
  ParkedStepDecision,
} from "#gen/shop/orders/v1/order_episode_service_pb.js";
import { SagaErrorReason } from "#gen/shop/sagas/v1/saga_error_reason_pb.js";
import type { ParkedStep, Saga } from "#gen/shop/sagas/v1/saga_pb.js";
import { whole } from "#platform/whole.ts";
import { SagaError } from "./errors.ts";
import { toParkedOrder, toSettledSaga } from "./saga-proto.ts";
import { readSaga } from "./saga-state.ts";

/**
 * Moves of an order's status, when its row refuses them: only the row can make them. And "carry": that a workflow takes the
 * order at all. Nothing can be done instead.
 */
const unresolvable: ReadonlySet<string> = new Set([
  "carry",
  "preparing",
  "shipped",
  "delivered",
  "rejected",
  "cancelled",
  "failed",
  "settle",
]);

/** An operator's decision about a parked step. */
export interface StepDecision {
  readonly requestId: string;
  readonly orderId: string;
  readonly step: string;
  /** What was done instead; undefined: it is to be tried again. */
  readonly note?: string;
}

/** The calls of orders that are needed. */
export type OrderRowsClient = Pick<
  Client<typeof OrderEpisodeService>,
  "getOrderSaga" | "listParkedOrders" | "decideParkedStep"
>;

/** The sagas as the rows of their orders know them. */
export class OrderRows {
  readonly #client: OrderRowsClient;

  constructor(client: OrderRowsClient) {
    this.#client = client;
  }

  /** Whether a workflow of the kind before episodes carries the order: it alone knows the saga. */
  async isLegacy(orderId: string): Promise<boolean> {
    return (await this.#find(orderId))?.legacy ?? true;
  }

  /**
   * How far an order has come, as it was settled last; undefined when a workflow of the kind before carries it.
   *
   * @throws SAGA_UNREADABLE
   */
  async saga(orderId: string): Promise<Saga | undefined> {
    const found = await this.#find(orderId);
    if (!found || found.legacy) return undefined;
    return toSettledSaga(found, found.saga === "" ? undefined : readSaga(orderId, found.saga));
  }

  /** One page of parked steps, the longest waiting first. */
  async parked(pageSize: number, pageToken: string): Promise<{ steps: ParkedStep[]; nextPageToken: string }> {
    const all = { step: "", reason: "", customerId: "", olderThan: undefined };
    const request = whole(ListParkedOrdersRequestSchema, { pageSize, pageToken, ...all });
    const page = await orNone(() => this.#client.listParkedOrders(request), [Code.Unimplemented]);
    const { orders = [], nextPageToken = "" } = page ?? {};
    return { steps: orders.map(toParkedOrder), nextPageToken };
  }

  /** Takes an operator's decision down. @throws STEP_NOT_PARKED, STEP_NOT_RESOLVABLE, SAGA_NOT_FOUND */
  async decide({ requestId, orderId, step, note }: StepDecision): Promise<void> {
    const metadata = { order_id: orderId, step };
    if (note !== undefined && unresolvable.has(step)) {
      const message = "nothing can be done instead of this step: mend what is wrong, and have it tried again";
      throw new SagaError(SagaErrorReason.STEP_NOT_RESOLVABLE, message, metadata);
    }
    const decision = note === undefined ? ParkedStepDecision.RETRY : ParkedStepDecision.RESOLVE;
    const fields = { requestId, orderId, step, decision, note: note ?? "" };
    try {
      await this.#client.decideParkedStep(whole(DecideParkedStepRequestSchema, fields));
    } catch (error) {
      throw refusalOf(error, metadata);
    }
  }

  /** Undefined when orders does not know the order, or knows nothing of episodes. */
  #find(orderId: string): Promise<OrderSaga | undefined> {
    const request = whole(GetOrderSagaRequestSchema, { orderId });
    const ask = async () => (await this.#client.getOrderSaga(request)).saga;
    return orNone(ask, [Code.Unimplemented, Code.NotFound]);
  }
}

/** What is answered; undefined when the call fails with one of the codes. An orders service may be older than this. */
async function orNone<T>(ask: () => Promise<T>, codes: Code[]): Promise<T | undefined> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof ConnectError && codes.includes(error.code)) return undefined;
    throw error;
  }
}

/** A refusal of orders in the words of the sagas; anything else as it is. */
function refusalOf(error: unknown, metadata: Record<string, string>): unknown {
  const reason = error instanceof ConnectError ? error.findDetails(ErrorInfoSchema)[0]?.reason : undefined;
  if (reason === "STEP_NOT_PARKED") {
    return new SagaError(SagaErrorReason.STEP_NOT_PARKED, "the step does not wait for an operator", metadata);
  }
  if (reason === "ORDER_NOT_FOUND") {
    return new SagaError(SagaErrorReason.SAGA_NOT_FOUND, "there is no such order", metadata);
  }
  return error;
}
