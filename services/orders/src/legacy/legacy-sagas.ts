import { type Client, Code, ConnectError } from "@connectrpc/connect";
import type { SagaService } from "#gen/shop/sagas/v1/saga_service_pb.js";
import { Relay } from "#platform/batch/relay.ts";
import { detached } from "#platform/context.ts";
import { isCallerFault } from "#platform/errors.ts";
import type { Logger } from "#platform/log/logger.ts";
import type { OrderMetrics } from "../order/metrics.ts";
import type { SagaBatch } from "../order/order.ts";
import { toStartRequest } from "./legacy-saga-proto.ts";
import type { SagaOutbox } from "./saga-outbox.repository.ts";

/** What the starts of workflows of the kind before episodes work with. */
export interface LegacySagasOptions {
  readonly sagas: Pick<Client<typeof SagaService>, "startOrderSaga">;
  readonly outbox: Pick<SagaOutbox, "claim" | "find" | "acknowledge">;
  readonly logger: Pick<Logger, "warn" | "error">;
  readonly metrics: OrderMetrics;
  /** Between two sweeps, in milliseconds. */
  readonly everyMs: number;
  /** Younger batches are left to the process that accepted them, in milliseconds. */
  readonly ageMs: number;
  /** How long one start may take, in milliseconds. */
  readonly timeoutMs: number;
}

/** Batches in one sweep. */
const sweepLimit = 16;
/** After failures, in milliseconds: a worker that is back should not wait long for what was left. */
const maxPauseMs = 5_000;

/**
 * Starts the workflows of orders that a process of the version before episodes accepted and did not hand over itself. Goes
 * away with the release after the next.
 */
export class LegacySagas {
  readonly relay: Relay;
  readonly #options: LegacySagasOptions;

  constructor(options: LegacySagasOptions) {
    this.#options = options;
    const { everyMs, logger: log } = options;
    const restMs = 10 * everyMs;
    this.relay = new Relay({ name: "saga relay", everyMs, restMs, maxPauseMs, log, sweep: () => this.#sweep() });
  }

  /** Makes sure that the worker has a workflow: what it does not have could not be cancelled. @throws what it answers */
  async ensureStarted(sagaId: string): Promise<void> {
    const batch = await this.#options.outbox.find(sagaId);
    if (batch) await detached(() => this.#start(batch));
  }

  /** Returns how many batches the worker took. @throws when it took none of those that there were */
  async #sweep(): Promise<number> {
    const { outbox, ageMs } = this.#options;
    const batches = await outbox.claim({ ageMs, leaseMs: ageMs, limit: sweepLimit });
    const results = await Promise.allSettled(batches.map((batch) => this.#start(batch)));
    const failures = results.filter((result) => result.status === "rejected");
    if (failures[0] && failures.length === batches.length) throw failures[0].reason;
    return batches.length - failures.length;
  }

  async #start(batch: SagaBatch): Promise<void> {
    const { sagas, outbox, logger, metrics, timeoutMs } = this.#options;
    try {
      await sagas.startOrderSaga(toStartRequest(batch), { timeoutMs });
    } catch (error) {
      const refused = isCallerFault(error instanceof ConnectError ? error.code : Code.Unknown);
      metrics.dispatches.inc({ outcome: refused ? "refused" : "failed" });
      const fields = { "saga.id": batch.sagaId, "orders.count": batch.orders.length, err: error };
      if (refused) logger.error("the worker refuses a saga; its orders stay pending", fields);
      else logger.warn("a saga could not be started yet", fields);
      throw error;
    }
    metrics.dispatches.inc({ outcome: "acknowledged" });
    await outbox.acknowledge([batch.sagaId]);
  }
}
