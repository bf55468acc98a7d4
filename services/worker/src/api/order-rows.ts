import type { Duration, Timestamp } from "@bufbuild/protobuf/wkt";
import { type Client, Code, ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.js";
import {
  BatchDecideParkedStepsRequestSchema,
  BeginParkedDecisionsRequestSchema,
  type DecideParkedStepRequest,
  DecideParkedStepRequestSchema,
  GetOrderSagaRequestSchema,
  ListParkedOrdersRequestSchema,
  type OrderEpisodeService,
  type OrderSaga,
  ParkedStepDecision,
} from "#gen/shop/orders/v1/order_episode_service_pb.js";
import { SagaErrorReason } from "#gen/shop/sagas/v1/saga_error_reason_pb.js";
import type { ParkedStep, Saga } from "#gen/shop/sagas/v1/saga_pb.js";
import type { Failure } from "#gen/shop/type/v1/failure_pb.js";
import { toFailure } from "#platform/errors.ts";
import { whole } from "#platform/whole.ts";
import { SagaError } from "./errors.ts";
import { toParkedOrder, toSettledSaga } from "./saga-proto.ts";
import { readSaga } from "./saga-state.ts";

/** What an operator decides. */
export interface Decision {
  readonly requestId: string;
  /** Whether it was taken care of by other means; else it is to be tried again. */
  readonly resolve: boolean;
  /** What was done instead, or why. */
  readonly note: string;
}

/** A parked step. */
export interface StepRef {
  readonly orderId: string;
  readonly step: string;
}

/** Which parked steps. Empty or undefined: any. */
export interface ParkedFilter {
  readonly step: string;
  readonly reason: string;
  readonly customerId: string;
  readonly olderThan: Duration | undefined;
}

/** Where a page of parked steps begins and ends. */
export interface ParkedPage {
  readonly size: number;
  /** From the page before; empty for the first. */
  readonly token: string;
  /** Only those that waited before this; undefined: any. */
  readonly parkedBefore: Timestamp | undefined;
}

/** The calls of orders that are needed. */
export type OrderRowsClient = Pick<
  Client<typeof OrderEpisodeService>,
  "getOrderSaga" | "listParkedOrders" | "decideParkedStep" | "batchDecideParkedSteps" | "beginParkedDecisions"
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
  async parked(filter: ParkedFilter, page: ParkedPage): Promise<{ steps: ParkedStep[]; next: string }> {
    const { size: pageSize, token: pageToken, parkedBefore } = page;
    const request = whole(ListParkedOrdersRequestSchema, { ...filter, pageSize, pageToken, parkedBefore });
    const found = await orNone(() => this.#client.listParkedOrders(request), [Code.Unimplemented]);
    const { orders = [], nextPageToken: next = "" } = found ?? {};
    return { steps: orders.map(toParkedOrder), next };
  }

  /** Takes an operator's decision down. @throws STEP_NOT_PARKED, SAGA_NOT_FOUND */
  async decide(ref: StepRef, decision: Decision): Promise<void> {
    try {
      await this.#client.decideParkedStep(toRequest(ref, decision));
    } catch (error) {
      const reason = error instanceof ConnectError ? error.findDetails(ErrorInfoSchema)[0]?.reason : undefined;
      throw inOurWords(reason, ref) ?? error;
    }
  }

  /** Takes an operator's decision about many steps down; for each what it is refused with, or undefined. */
  async decideAll(refs: readonly StepRef[], decision: Decision): Promise<(Failure | undefined)[]> {
    if (refs.length === 0) return [];
    const requests = refs.map((ref) => toRequest(ref, decision));
    const batch = whole(BatchDecideParkedStepsRequestSchema, { requests, traceparents: [] });
    const { outcomes } = await this.#client.batchDecideParkedSteps(batch);
    return refs.map((ref, index) => {
      const outcome = outcomes[index]?.outcome;
      if (outcome?.case === "response") return undefined;
      if (!outcome?.case) throw new Error("orders did not answer for a step");
      const refusal = inOurWords(outcome.value.reason, ref);
      return refusal ? toFailure(refusal) : outcome.value;
    });
  }

  /** Says which steps a decision about many is about; a dry run is only counted. @throws REQUEST_ID_REUSED */
  begin(filter: ParkedFilter, { requestId, resolve, note, dryRun }: Decision & { readonly dryRun: boolean }) {
    const fields = { ...filter, requestId, decision: toProto(resolve), note, dryRun };
    return this.#client.beginParkedDecisions(whole(BeginParkedDecisionsRequestSchema, fields));
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

function toProto(resolve: boolean): ParkedStepDecision {
  return resolve ? ParkedStepDecision.RESOLVE : ParkedStepDecision.RETRY;
}

function toRequest({ orderId, step }: StepRef, { requestId, resolve, note }: Decision): DecideParkedStepRequest {
  return whole(DecideParkedStepRequestSchema, { requestId, orderId, step, decision: toProto(resolve), note });
}

/** A refusal of orders in the words of the sagas; undefined for one that has none. */
function inOurWords(reason: string | undefined, { orderId, step }: StepRef): Error | undefined {
  const metadata = { order_id: orderId, step };
  if (reason === "STEP_NOT_PARKED") {
    return new SagaError(SagaErrorReason.STEP_NOT_PARKED, "the step does not wait for an operator", metadata);
  }
  if (reason === "ORDER_NOT_FOUND") {
    return new SagaError(SagaErrorReason.SAGA_NOT_FOUND, "there is no such order", metadata);
  }
  return undefined;
}
