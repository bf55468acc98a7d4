import {
  QueryNotRegisteredError,
  WorkflowExecutionAlreadyStartedError,
  WorkflowNotFoundError,
} from "@temporalio/client";
import { SagaErrorReason } from "#gen/shop/sagas/v1/saga_error_reason_pb.js";
import { customerIdsAttribute, orderIdsAttribute, parkedQuery } from "../workflows/engine/search-attributes.ts";
import type { SagaOptions } from "../workflows/legacy/engine/options.ts";
import type { ParkedStepView } from "../workflows/legacy/engine/parking.ts";
import * as messages from "../workflows/legacy/messages.ts";
import {
  newOrderState,
  type OrderStatusView,
  type ProcessOrdersInput,
  type SagaOrder,
} from "../workflows/legacy/order-state.ts";
import type { processOrders } from "../workflows/legacy/process-orders.ts";
import type { SagaStage } from "../workflows/order/order-types.ts";
import { SagaError } from "./errors.ts";
import type { TemporalCalls } from "./temporal-calls.ts";

/** The largest input that Temporal takes is 2 MiB; the state grows while the saga runs. */
const maxInputBytes = 1_048_576;

/** Where the saga of an order ends by itself. */
const ended: ReadonlySet<SagaStage> = new Set(["DELIVERED", "REJECTED", "CANCELLED", "FAILED"]);

/** How sagas are reached. */
export interface LegacySagasOptions {
  readonly taskQueue: string;
  /** The tunables that new sagas begin with. */
  readonly options: SagaOptions;
  /** Whether the first workflow task comes with the answer to the start; needs a worker on the client's connection. */
  readonly eagerStart: boolean;
}

/** One order and the workflow that carries it; without a saga id it is looked up. */
export interface SagaRef {
  readonly orderId: string;
  readonly sagaId: string;
}

/** Starts, asks and steers the workflows of the kind before episodes. They run to their end: for one release. */
export class LegacySagas {
  readonly #calls: TemporalCalls;
  readonly #options: LegacySagasOptions;

  constructor(calls: TemporalCalls, options: LegacySagasOptions) {
    this.#calls = calls;
    this.#options = options;
  }

  /** Starts one workflow for a batch of orders. Returns false when it was started before. @throws SAGA_TOO_LARGE */
  async start(sagaId: string, orders: SagaOrder[]): Promise<boolean> {
    const { client } = this.#calls;
    const { taskQueue, options, eagerStart } = this.#options;
    const input: ProcessOrdersInput = { orders: orders.map(newOrderState), options };
    const bytes = Buffer.byteLength(JSON.stringify(input));
    if (bytes > maxInputBytes) {
      const metadata = { bytes: String(bytes), maximum: String(maxInputBytes) };
      throw new SagaError(SagaErrorReason.SAGA_TOO_LARGE, "the orders are more than a workflow can carry", metadata);
    }
    const orderIds = orders.map((order) => order.orderId);
    const customerIds = [...new Set(orders.map((order) => order.customerId))];
    try {
      await this.#calls.within(() =>
        client.workflow.start<typeof processOrders>("processOrders", {
          taskQueue,
          workflowId: sagaId,
          args: [input],
          requestEagerStart: eagerStart,
          workflowIdReusePolicy: "REJECT_DUPLICATE",
          workflowIdConflictPolicy: "FAIL",
          typedSearchAttributes: [
            { key: orderIdsAttribute, value: orderIds },
            { key: customerIdsAttribute, value: customerIds },
          ],
        }),
      );
      return true;
    } catch (error) {
      if (error instanceof WorkflowExecutionAlreadyStartedError) return false;
      throw error;
    }
  }

  /** How far an order has come. @throws SAGA_NOT_FOUND */
  async status(ref: SagaRef): Promise<{ sagaId: string; view: OrderStatusView }> {
    const sagaId = await this.#sagaIdOf(ref);
    const view = await this.#orNotFound(ref, () => this.#handle(sagaId).query(messages.orderStatus, ref.orderId));
    if (!view) throw notFound(ref);
    return { sagaId, view };
  }

  /** Has one order cancelled. Repeating it succeeds. @throws SAGA_NOT_FOUND, NOT_CANCELLABLE */
  async cancel(ref: SagaRef, reason: string, requestId: string): Promise<void> {
    const request = { orderId: ref.orderId, reason };
    const known = await this.#calls.update(await this.#sagaIdOf(ref), {
      definition: messages.cancelOrder,
      request,
      requestId,
    });
    if (known) return;
    const { view } = await this.status(ref);
    if (view.stage === "CANCELLED") return;
    // It was ended from outside, and does not do anything any more.
    if (!ended.has(view.stage)) throw notFound(ref);
    const metadata = { order_id: ref.orderId, stage: view.stage };
    throw new SagaError(SagaErrorReason.NOT_CANCELLABLE, "the order has ended", metadata);
  }

  /** Has a parked step tried again. @throws SAGA_NOT_FOUND, STEP_NOT_PARKED */
  async retry(ref: SagaRef, step: string, requestId: string): Promise<void> {
    const request = { orderId: ref.orderId, step };
    if (await this.#calls.update(await this.#sagaIdOf(ref), { definition: messages.retryStep, request, requestId }))
      return;
    await this.#mustExist(ref, step);
  }

  /** Says that a parked step is done by other means. @throws SAGA_NOT_FOUND, STEP_NOT_PARKED */
  async resolve(ref: SagaRef, step: string, resolution: { note: string; requestId: string }): Promise<void> {
    const { note, requestId } = resolution;
    const request = { orderId: ref.orderId, step, note };
    if (await this.#calls.update(await this.#sagaIdOf(ref), { definition: messages.resolveStep, request, requestId }))
      return;
    await this.#mustExist(ref, step);
  }

  /** Tells one workflow what became of parcels. A workflow that has ended does not need to know. */
  async report(sagaId: string, reports: messages.ParcelReportEntry[]): Promise<void> {
    try {
      await this.#calls.within(() => this.#handle(sagaId).signal(messages.reportParcels, reports));
    } catch (error) {
      if (!(error instanceof WorkflowNotFoundError)) throw error;
    }
  }

  /** One page of the workflows that have parked steps. */
  async parked(pageSize: number, pageToken: Buffer): Promise<{ sagaIds: string[]; nextPageToken: Buffer }> {
    const { client } = this.#calls;
    const query = parkedQuery;
    const { namespace } = client.options;
    const page = await this.#calls.within(() =>
      client.workflowService.listWorkflowExecutions({ namespace, query, pageSize, nextPageToken: pageToken }),
    );
    const sagaIds = page.executions.map(({ execution }) => execution?.workflowId ?? "").filter((id) => id !== "");
    return { sagaIds, nextPageToken: Buffer.from(page.nextPageToken ?? []) };
  }

  /** The parked steps of one workflow; none when it has ended meanwhile. */
  async parkedSteps(sagaId: string): Promise<ParkedStepView[]> {
    try {
      return await this.#calls.within(() => this.#handle(sagaId).query(messages.parkedSteps));
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return [];
      throw error;
    }
  }

  #handle(sagaId: string) {
    return this.#calls.client.workflow.getHandle(sagaId);
  }

  async #mustExist(ref: SagaRef, step: string): Promise<never> {
    await this.status(ref);
    const metadata = { order_id: ref.orderId, step };
    throw new SagaError(SagaErrorReason.STEP_NOT_PARKED, "the step does not wait for an operator", metadata);
  }

  /** The workflow that carries an order, found by its search attribute when the caller does not name it. */
  async #sagaIdOf(ref: SagaRef): Promise<string> {
    if (ref.sagaId !== "") return ref.sagaId;
    const { client } = this.#calls;
    // The id is validated: 26 characters of Crockford base32.
    const query = `${orderIdsAttribute.name} = "${ref.orderId}"`;
    const { namespace } = client.options;
    const page = await this.#calls.within(() =>
      client.workflowService.listWorkflowExecutions({ namespace, query, pageSize: 1 }),
    );
    const sagaId = page.executions[0]?.execution?.workflowId;
    if (!sagaId) throw notFound(ref);
    return sagaId;
  }

  async #orNotFound<T>(ref: SagaRef, ask: () => Promise<T>): Promise<T> {
    try {
      return await this.#calls.within(ask);
    } catch (error) {
      // An episode may have begun under this id since it was looked for: it answers no queries.
      const unknown = error instanceof WorkflowNotFoundError || error instanceof QueryNotRegisteredError;
      throw unknown ? notFound(ref) : error;
    }
  }
}

function notFound({ orderId }: SagaRef) {
  return new SagaError(SagaErrorReason.SAGA_NOT_FOUND, "no workflow carries the order", { order_id: orderId });
}
