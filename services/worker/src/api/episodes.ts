import { WorkflowExecutionAlreadyStartedError, WorkflowNotFoundError } from "@temporalio/client";
import { SagaErrorReason } from "#gen/shop/sagas/v1/saga_error_reason_pb.js";
import { EpisodeState } from "#gen/shop/sagas/v1/saga_service_pb.js";
import { inParallel } from "#platform/parallel.ts";
import { orLate } from "#platform/wait.ts";
import type { carryOrders } from "../workflows/carry-orders.ts";
import type { EpisodeOptions } from "../workflows/engine/options.ts";
import { customerIdsAttribute, orderIdsAttribute } from "../workflows/engine/search-attributes.ts";
import { cancelOrder } from "../workflows/messages.ts";
import type { CarriedOrder, CarryOrdersInput, OrderFault } from "../workflows/order-state.ts";
import { contradictsItself, readFaults } from "./episode-faults.ts";
import { SagaError } from "./errors.ts";
import { type TemporalCalls, temporalIsAway } from "./temporal-calls.ts";

/** The largest input that Temporal takes is 2 MiB. */
const maxInputBytes = 1_048_576;
/** No episode runs for longer: one that does has a fault that keeps it from ending, and its orders are carried by another. */
const longest = "1 hour";
/** Workflows that are asked at the same time how they stand. */
const looksAtOnce = 8;
/** The part of the caller's time in which they have to answer: what is known by then is worth telling. */
const lookPart = 0.75;
/** WORKFLOW_EXECUTION_STATUS_RUNNING and _PAUSED in temporal/api/enums/v1/workflow.proto: the ones that are not closed. */
const openStatuses: readonly (number | null | undefined)[] = [1, 8];

/** After so many attempts at one workflow task it is looked why it fails. */
const suspectAttempt = 3;

/** How episodes are started. */
export interface EpisodesOptions {
  readonly taskQueue: string;
  /** The tunables that new episodes begin with. */
  readonly options: EpisodeOptions;
  /** Whether the first workflow task comes with the answer to the start; needs a worker on the client's connection. */
  readonly eagerStart: boolean;
}

/** Whether an episode can still settle its orders, and which ones its code failed with. */
export interface EpisodeLook {
  readonly episodeId: string;
  readonly state: EpisodeState;
  readonly faults: readonly OrderFault[];
}

/** Starts and steers the workflows that carry orders. */
export class Episodes {
  readonly #calls: TemporalCalls;
  readonly #options: EpisodesOptions;

  constructor(calls: TemporalCalls, options: EpisodesOptions) {
    this.#calls = calls;
    this.#options = options;
  }

  /** Starts an episode. Returns false when it was started before. @throws SAGA_TOO_LARGE */
  async start(episodeId: string, orders: CarriedOrder[]): Promise<boolean> {
    const { taskQueue, options, eagerStart } = this.#options;
    const input: CarryOrdersInput = { orders, options };
    mustFit(input);
    const { workflow } = this.#calls.client;
    try {
      await this.#calls.within(() =>
        workflow.start<typeof carryOrders>("carryOrders", {
          taskQueue,
          workflowId: episodeId,
          args: [input],
          requestEagerStart: eagerStart,
          workflowExecutionTimeout: longest,
          workflowIdReusePolicy: "REJECT_DUPLICATE",
          workflowIdConflictPolicy: "FAIL",
          typedSearchAttributes: [
            { key: orderIdsAttribute, value: orders.map(({ orderId }) => orderId) },
            { key: customerIdsAttribute, value: [...new Set(orders.map(({ customerId }) => customerId))] },
          ],
        }),
      );
      return true;
    } catch (error) {
      if (error instanceof WorkflowExecutionAlreadyStartedError) return false;
      throw error;
    }
  }

  /**
   * How each episode stands; UNSPECIFIED where Temporal does not say it in time, or cannot: the others are told all the same.
   *
   * @throws what Temporal said, when it says of none how it stands
   */
  async look(episodeIds: string[]): Promise<EpisodeLook[]> {
    const end = performance.now() + this.#calls.leftMs * lookPart;
    const failures: unknown[] = [];
    const looks = await inParallel(episodeIds, looksAtOnce, async (episodeId): Promise<EpisodeLook> => {
      const leftMs = end - performance.now();
      const look = leftMs > 0 ? orLate(this.#look(episodeId), leftMs) : undefined;
      const known = await look?.catch((error: unknown) => void failures.push(error));
      return known ?? { episodeId, state: EpisodeState.UNSPECIFIED, faults: [] };
    });
    const isSilent = looks.every(({ state }) => state === EpisodeState.UNSPECIFIED);
    if (isSilent && looks.length > 0) throw failures[0] ?? temporalIsAway();
    return looks;
  }

  async #look(episodeId: string): Promise<EpisodeLook> {
    const description = await this.#describe(episodeId);
    if (!description) return { episodeId, state: EpisodeState.UNKNOWN, faults: [] };
    const { status, runId, raw } = description;
    const execution = { workflowId: episodeId, runId };
    if (openStatuses.includes(status.code)) {
      const isSuspect = (raw.pendingWorkflowTask?.attempt ?? 0) >= suspectAttempt;
      const isLost = isSuspect && (await contradictsItself(this.#calls, execution));
      if (!isLost) return { episodeId, state: EpisodeState.RUNNING, faults: [] };
      await this.#giveUp(execution);
    }
    const faults = await readFaults(this.#calls, execution);
    return { episodeId, state: EpisodeState.CLOSED, faults };
  }

  /** A workflow that does not do what its history says never goes on; its orders are carried anew, and what it did has no second effect. */
  async #giveUp({ workflowId, runId }: { workflowId: string; runId: string }): Promise<void> {
    const handle = this.#calls.client.workflow.getHandle(workflowId, runId);
    await this.#calls.within(() =>
      handle.terminate("it does not do what its history says: its orders are carried anew"),
    );
  }

  /**
   * Has one order of an episode cancelled. Returns false when the workflow is none.
   *
   * @throws NOT_CANCELLABLE; SAGA_NOT_FOUND when the order rests: then its row decides
   */
  async cancel(
    episodeId: string,
    orderId: string,
    { reason, requestId }: { reason: string; requestId: string },
  ): Promise<boolean> {
    const request = { orderId, reason };
    if (await this.#calls.update(episodeId, { definition: cancelOrder, request, requestId })) return true;
    if ((await this.#describe(episodeId))?.type !== "carryOrders") return false;
    throw new SagaError(SagaErrorReason.SAGA_NOT_FOUND, "the episode is over", { order_id: orderId });
  }

  async #describe(workflowId: string) {
    const handle = this.#calls.client.workflow.getHandle(workflowId);
    try {
      return await this.#calls.within(() => handle.describe());
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return undefined;
      throw error;
    }
  }
}

function mustFit(input: CarryOrdersInput): void {
  const bytes = Buffer.byteLength(JSON.stringify(input));
  if (bytes <= maxInputBytes) return;
  const metadata = { bytes: String(bytes), maximum: String(maxInputBytes) };
  throw new SagaError(SagaErrorReason.SAGA_TOO_LARGE, "the orders are more than a workflow can carry", metadata);
}
