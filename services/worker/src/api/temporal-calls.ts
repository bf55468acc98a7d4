import { createHash } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { status } from "@grpc/grpc-js";
import { type Client, isGrpcServiceError, WorkflowNotFoundError, WorkflowUpdateFailedError } from "@temporalio/client";
import { ApplicationFailure, type UpdateDefinition } from "@temporalio/common";
import { SagaErrorReason } from "#gen/shop/sagas/v1/saga_error_reason_pb.js";
import { PlatformErrorReason } from "#gen/shop/type/v1/platform_error_reason_pb.js";
import { remainingMs } from "#platform/context.ts";
import { PlatformError } from "#platform/errors.ts";
import { orLate } from "#platform/wait.ts";
import { SagaError } from "./errors.ts";

/**
 * What Temporal says, or its client for it, when it can be asked again. We never cancel a call: CANCELLED is what the native
 * client says when a deadline has passed, and of a connection that broke it says UNKNOWN, in the middle of an answer INTERNAL.
 */
const away: readonly number[] = [
  status.UNAVAILABLE,
  status.DEADLINE_EXCEEDED,
  status.RESOURCE_EXHAUSTED,
  status.CANCELLED,
  status.ABORTED,
  status.UNKNOWN,
  status.INTERNAL,
];
/** What it says to an update that the workflow does not take now. */
const busy: readonly number[] = [status.RESOURCE_EXHAUSTED, status.FAILED_PRECONDITION];
/** When a caller should ask again, in milliseconds. */
const retryMs = 1_000;

/** A workflow that takes no update now is offered it again after this, up to twice as long, in milliseconds. */
const busyPauseMs = 50;

/** Calls of Temporal, each within its time. */
export class TemporalCalls {
  readonly client: Client;
  readonly #timeoutMs: number;

  /** @param timeoutMs how long one answer may take when the caller has no deadline, in milliseconds */
  constructor(client: Client, timeoutMs: number) {
    this.client = client;
    this.#timeoutMs = timeoutMs;
  }

  /** Each of the client's own attempts has the whole time, so they are not waited for longer. @throws UNAVAILABLE when Temporal is away */
  async within<T>(ask: () => Promise<T>): Promise<T> {
    const { leftMs } = this;
    const asking = async () => ({ answer: await this.client.withDeadline(Date.now() + leftMs, ask) });
    const asked = await orLate(asking(), leftMs).catch((error: unknown) => {
      throw orAway(error);
    });
    if (!asked) throw temporalIsAway();
    return asked.answer;
  }

  /**
   * Sends an update. Returns false when the workflow is closed, or never was, so that nobody could take it.
   *
   * @throws the refusal of its validator
   */
  async update<A extends object>(
    workflowId: string,
    update: { definition: UpdateDefinition<void, [A]>; request: A; requestId: string },
  ): Promise<boolean> {
    const { definition, request, requestId } = update;
    const handle = this.client.workflow.getHandle(workflowId);
    // Temporal keeps it readable, and callers may write whatever they like into theirs.
    const updateId = createHash("sha256").update(requestId).digest("base64url");
    const end = performance.now() + this.leftMs;
    for (;;) {
      try {
        await this.within(() => handle.executeUpdate<void, [A]>(definition, { args: [request], updateId }));
        return true;
      } catch (error) {
        if (error instanceof WorkflowNotFoundError) return false;
        if (error instanceof WorkflowUpdateFailedError) throw refusalOf(error, request);
        if (!isBusy(error)) throw error;
        if (performance.now() + 2 * busyPauseMs > end) throw temporalIsAway(error);
        // biome-ignore lint/plugin/random: spreads pauses, and hides nothing
        await pause(busyPauseMs * (1 + Math.random()));
      }
    }
  }

  /** How long the caller waits for an answer, in milliseconds. */
  get leftMs(): number {
    return Math.min(remainingMs(), this.#timeoutMs);
  }
}

/**
 * Whether the workflow takes no update now: it has enough of them, or its task has failed several times and is tried again
 * later. Of the latter Temporal says FAILED_PRECONDITION (its WorkflowNotReady).
 */
function isBusy(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (isGrpcServiceError(cause)) return busy.includes(cause.code);
  }
  return false;
}

/** The refusal of a validator, by the type of its failure. */
function refusalOf(error: WorkflowUpdateFailedError, request: object): Error {
  const { cause } = error;
  if (!(cause instanceof ApplicationFailure)) return error;
  const orderId = "orderId" in request ? String(request.orderId) : "";
  const [details] = (cause.details ?? []) as { stage?: string }[];
  const metadata: Record<string, string> = { order_id: orderId };
  if ("step" in request) metadata.step = String(request.step);
  if (details?.stage) metadata.stage = details.stage;
  switch (cause.type) {
    case "NOT_CANCELLABLE":
      return new SagaError(SagaErrorReason.NOT_CANCELLABLE, cause.message, metadata);
    case "STEP_NOT_PARKED":
      return new SagaError(SagaErrorReason.STEP_NOT_PARKED, cause.message, metadata);
    case "SAGA_NOT_FOUND":
      return new SagaError(SagaErrorReason.SAGA_NOT_FOUND, cause.message, metadata);
    default:
      return error;
  }
}

/**
 * What a failed call to Temporal means for our caller: UNAVAILABLE when Temporal was not reached or did not answer in time,
 * which is no fault of ours; any other error as it is.
 */
function orAway(error: unknown): unknown {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (isGrpcServiceError(cause) && away.includes(cause.code)) return temporalIsAway(error);
  }
  return error;
}

/** Nobody answers, or not in time. */
export function temporalIsAway(cause?: unknown): Error {
  const options = { cause, retryAfterMs: retryMs };
  return new PlatformError(PlatformErrorReason.UNAVAILABLE, "Temporal is away", { dependency: "temporal" }, options);
}
