import { type Client, Code, ConnectError } from "@connectrpc/connect";
import type { SagaService } from "#gen/shop/sagas/v1/saga_service_pb.js";
import { Batcher } from "#platform/batch/batcher.ts";
import { detached, withSubject } from "#platform/context.ts";
import { isCallerFault } from "#platform/errors.ts";
import { timeOf } from "#platform/id.ts";
import type { Logger } from "#platform/log/logger.ts";
import { resumeTrace, runSpan, startBatchSpan } from "#platform/trace/spans.ts";
import type { OrderMetrics } from "../order/metrics.ts";
import type { SagaBatch } from "../order/order.ts";
import type { SagaOutbox } from "./saga-outbox.repository.ts";
import { toStartRequest } from "./saga-proto.ts";

/** What a dispatcher works with. */
export interface DispatcherOptions {
  readonly sagas: Pick<Client<typeof SagaService>, "startOrderSaga">;
  readonly outbox: Pick<SagaOutbox, "acknowledge">;
  readonly logger: Pick<Logger, "info" | "warn" | "error" | "log">;
  readonly metrics: OrderMetrics;
  /** Starts that are under way at the same time. */
  readonly concurrency: number;
  /** How long one start may take, in milliseconds. */
  readonly timeoutMs: number;
  /** Told about a batch that the worker refuses, rather than fails to take. */
  readonly onRefused?: (batch: SagaBatch, error: unknown) => void;
}

/** Batches that may wait for a free place; what comes on top is left to the relay. */
const maxWaiting = 256;

/** Hands batches of orders to the worker and notes that it has them. */
export class Dispatcher {
  readonly #options: DispatcherOptions;
  readonly #acknowledgements: Batcher<string, undefined>;
  /** Starts that run or wait, by saga. */
  readonly #started = new Map<string, Promise<void>>();
  readonly #waiting: (() => void)[] = [];
  #running = 0;
  #draining = false;
  /** Whether the last start failed: a worker that is away is said once, not for each batch. */
  #failing = false;

  constructor(options: DispatcherOptions) {
    this.#options = options;
    this.#acknowledgements = new Batcher({
      name: "saga acknowledgements",
      maxEntries: 64,
      run: async (sagaIds: string[]) => {
        await options.outbox.acknowledge(sagaIds);
        return sagaIds.map(() => undefined);
      },
    });
  }

  /** Starts a saga in the background. What fails is logged and left to the relay. */
  offer(batch: SagaBatch): void {
    if (this.#waiting.length >= maxWaiting) {
      this.#options.metrics.dispatches.inc({ outcome: "deferred" });
      return;
    }
    // The failure is logged and counted where it happened; the relay repeats the start.
    this.start(batch).catch(() => undefined);
  }

  /**
   * Resolves once the worker has the batch. A batch that is under way already is not sent twice, and the start goes on when
   * the call that wanted it first has gone: others may wait for it too.
   *
   * @throws what SagaService answers
   */
  start(batch: SagaBatch): Promise<void> {
    const known = this.underWay(batch.sagaId);
    if (known) return known;
    const orderId = batch.orders.length === 1 ? batch.orders[0]?.orderId : undefined;
    const subject = { "saga.id": batch.sagaId, ...(orderId && { "order.id": orderId }) };
    const begin = () => withSubject(subject, () => inDispatchTrace(batch, () => this.#start(batch)));
    const started = detached(begin).finally(() => this.#started.delete(batch.sagaId));
    this.#started.set(batch.sagaId, started);
    return started;
  }

  /** The start of a saga that runs now in this process, if there is one. */
  underWay(sagaId: string): Promise<void> | undefined {
    return this.#started.get(sagaId);
  }

  /** Resolves once nothing is under way and all acknowledgements are stored. What waits is left to another's relay. */
  async drain(): Promise<void> {
    this.#draining = true;
    await Promise.allSettled(this.#started.values());
    await this.#acknowledgements.drain();
  }

  async #start(batch: SagaBatch): Promise<void> {
    await this.#enter();
    try {
      const { sagas, timeoutMs, metrics } = this.#options;
      if (this.#draining) throw new ConnectError("the service stops", Code.Unavailable);
      await sagas.startOrderSaga(toStartRequest(batch), { timeoutMs });
      metrics.dispatches.inc({ outcome: "acknowledged" });
      this.#recovered();
    } catch (error) {
      this.#failed(batch, error);
      throw error;
    } finally {
      this.#leave();
    }
    this.#acknowledge(batch);
  }

  /** The worker has the batch whether this is stored or not: if it is not, the relay sends the batch once more. */
  #acknowledge(batch: SagaBatch): void {
    this.#acknowledgements.submit(batch.sagaId).catch((error: unknown) => {
      this.#options.logger.warn("a started saga could not be noted", { "saga.id": batch.sagaId, err: error });
    });
  }

  #failed(batch: SagaBatch, error: unknown): void {
    const fields = { "saga.id": batch.sagaId, "orders.count": batch.orders.length, err: error };
    const code = error instanceof ConnectError ? error.code : Code.Unknown;
    if (isCallerFault(code)) {
      this.#options.metrics.dispatches.inc({ outcome: "refused" });
      this.#options.logger.error("the worker refuses a saga; its orders stay pending", fields);
      this.#options.onRefused?.(batch, error);
    } else {
      this.#options.metrics.dispatches.inc({ outcome: "failed" });
      this.#options.logger.log(this.#failing ? "debug" : "warn", "a saga could not be started yet", fields);
      this.#failing = true;
    }
  }

  #recovered(): void {
    if (this.#failing) this.#options.logger.info("sagas can be started again");
    this.#failing = false;
  }

  async #enter(): Promise<void> {
    if (this.#running >= this.#options.concurrency) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else {
      this.#running += 1;
    }
  }

  /** A place goes from hand to hand while somebody waits. */
  #leave(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#running -= 1;
  }
}

const spanName = "dispatch";

/**
 * Runs the handing over of a batch in its trace. A batch of one belongs to its order's trace, as long as that is young; one
 * of several has a trace of its own that is linked to those of its orders, and is kept when one of theirs is.
 */
function inDispatchTrace<T>({ sagaId, orders }: SagaBatch, work: () => Promise<T>): Promise<T> {
  const attributes = { "saga.id": sagaId, "ordermesh.list.size": orders.length };
  const [first, ...others] = orders;
  if (first && others.length === 0) {
    const { orderId, traceparent } = first;
    const options = { name: spanName, attributes: { ...attributes, "order.id": orderId } };
    return resumeTrace({ traceparent, time: timeOf(orderId) }, options, work);
  }
  const traceparents = orders.map(({ traceparent }) => traceparent);
  return runSpan(startBatchSpan(spanName, { attributes }, traceparents), work);
}
