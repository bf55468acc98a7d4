import { type Client, Code, ConnectError } from "@connectrpc/connect";
import type { SagaService } from "#gen/shop/sagas/v1/saga_service_pb.js";
import { Batcher } from "#platform/batch/batcher.ts";
import { detached, withSubject } from "#platform/context.ts";
import { isCallerFault } from "#platform/errors.ts";
import type { Logger } from "#platform/log/logger.ts";
import type { OrderMetrics } from "../order/metrics.ts";
import type { SagaList } from "../order/order.ts";
import { inDispatchTrace } from "./dispatch-trace.ts";
import type { SagaOutbox } from "./saga-outbox.repository.ts";
import { toStartRequest } from "./saga-proto.ts";

/** What a dispatcher works with. */
export interface DispatcherOptions {
  readonly sagas: Pick<Client<typeof SagaService>, "startOrderSaga">;
  readonly outbox: Pick<SagaOutbox, "acknowledge">;
  readonly logger: Logger;
  readonly metrics: OrderMetrics;
  /** Starts that are under way at the same time. */
  readonly concurrency: number;
  /** How long one start may take, in milliseconds. */
  readonly timeoutMs: number;
  /** Told about a list that the worker refuses, rather than fails to take. */
  readonly onRefused?: (list: SagaList, error: unknown) => void;
}

/** Lists that may wait for a free place; what comes on top is left to the relay. */
const maxWaiting = 256;

/** Hands lists of orders to the worker and notes that it has them. */
export class Dispatcher {
  readonly #options: DispatcherOptions;
  readonly #acknowledgements: Batcher<string, undefined>;
  /** Starts that run or wait, by saga. */
  readonly #started = new Map<string, Promise<void>>();
  readonly #waiting: (() => void)[] = [];
  #running = 0;
  #draining = false;
  /** Whether the last start failed: a worker that is away is said once, not for each list. */
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
  offer(list: SagaList): void {
    if (this.#waiting.length >= maxWaiting) {
      this.#options.metrics.dispatches.inc({ outcome: "deferred" });
      return;
    }
    // The failure is logged and counted where it happened; the relay repeats the start.
    this.start(list).catch(() => undefined);
  }

  /**
   * Resolves once the worker has the list. A list that is under way already is not sent twice, and the start goes on when
   * the call that wanted it first has gone: others may wait for it too.
   *
   * @throws what SagaService answers
   */
  start(list: SagaList): Promise<void> {
    const known = this.underWay(list.sagaId);
    if (known) return known;
    const orderId = list.orders.length === 1 ? list.orders[0]?.orderId : undefined;
    const subject = { "saga.id": list.sagaId, ...(orderId && { "order.id": orderId }) };
    const begin = () => withSubject(subject, () => inDispatchTrace(list, () => this.#start(list)));
    const started = detached(begin).finally(() => this.#started.delete(list.sagaId));
    this.#started.set(list.sagaId, started);
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

  async #start(list: SagaList): Promise<void> {
    await this.#enter();
    try {
      const { sagas, timeoutMs, metrics } = this.#options;
      if (this.#draining) throw new ConnectError("the service stops", Code.Unavailable);
      await sagas.startOrderSaga(toStartRequest(list), { timeoutMs });
      metrics.dispatches.inc({ outcome: "acknowledged" });
      this.#recovered();
    } catch (error) {
      this.#failed(list, error);
      throw error;
    } finally {
      this.#leave();
    }
    this.#acknowledge(list);
  }

  /** The worker has the list whether this is stored or not: if it is not, the relay sends the list once more. */
  #acknowledge(list: SagaList): void {
    this.#acknowledgements.submit(list.sagaId).catch((error: unknown) => {
      this.#options.logger.warn("a started saga could not be noted", { "saga.id": list.sagaId, err: error });
    });
  }

  #failed(list: SagaList, error: unknown): void {
    const fields = { "saga.id": list.sagaId, "orders.count": list.orders.length, err: error };
    const code = error instanceof ConnectError ? error.code : Code.Unknown;
    if (isCallerFault(code)) {
      this.#options.metrics.dispatches.inc({ outcome: "refused" });
      this.#options.logger.error("the worker refuses a saga; its orders stay pending", fields);
      this.#options.onRefused?.(list, error);
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
