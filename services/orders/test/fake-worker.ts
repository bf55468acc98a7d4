import { type Client, Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.js";
import {
  type BatchGetEpisodesRequest,
  type CancelOrderSagaRequest,
  EpisodeState,
  SagaService,
  type StartEpisodeRequest,
  type StartOrderSagaRequest,
} from "#gen/shop/sagas/v1/saga_service_pb.js";
import { validationInterceptor } from "#platform/interceptors/validation.ts";

/** SagaService as a real router in memory, with what it was asked and hooks for what it does. */
export class FakeWorker {
  /** Every start of an episode that arrived, repeated ones too. */
  readonly starts: StartEpisodeRequest[] = [];
  /** Every start of a workflow of the kind before that arrived. */
  readonly legacyStarts: StartOrderSagaRequest[] = [];
  readonly cancels: CancelOrderSagaRequest[] = [];
  /** Workflows of both kinds that run. */
  readonly running = new Set<string>();
  /** Workflows that have ended, by whatever. */
  readonly closed = new Set<string>();
  /** What workflows that have ended failed with, by their ids; see `EpisodeFault`. */
  readonly faults = new Map<string, { orderId: string; error: string }>();
  /** False: nobody answers. */
  available = true;
  /** Runs when the workflow has started: what it throws is the answer that the caller gets instead. */
  onStart: (request: StartEpisodeRequest) => Promise<void> | void = () => undefined;
  onCancel: (request: CancelOrderSagaRequest) => Promise<void> | void = () => undefined;
  readonly client: Client<typeof SagaService>;

  constructor() {
    const transport = createRouterTransport(
      ({ service }) => {
        service(SagaService, {
          startEpisode: (request) => this.#startEpisode(request),
          batchGetEpisodes: (request) => this.#states(request),
          startOrderSaga: (request) => this.#startSaga(request),
          cancelOrderSaga: (request) => this.#cancel(request),
        });
      },
      { router: { interceptors: [validationInterceptor([SagaService])] } },
    );
    this.client = createClient(SagaService, transport);
  }

  /** Ends a workflow, as `temporal workflow terminate` does. */
  terminate(sagaId: string): void {
    this.running.delete(sagaId);
    this.closed.add(sagaId);
  }

  /** Ends a workflow by a fault in its code. */
  fail(sagaId: string, fault: { orderId: string; error: string }): void {
    this.faults.set(sagaId, fault);
    this.terminate(sagaId);
  }

  async #startEpisode(request: StartEpisodeRequest) {
    this.#requireAvailable();
    this.starts.push(request);
    const started = this.#run(request.episodeId);
    await this.onStart(request);
    return { started };
  }

  #startSaga(request: StartOrderSagaRequest) {
    this.#requireAvailable();
    this.legacyStarts.push(request);
    return { started: this.#run(request.sagaId) };
  }

  #run(id: string): boolean {
    if (this.running.has(id) || this.closed.has(id)) return false;
    this.running.add(id);
    return true;
  }

  #states({ episodeIds }: BatchGetEpisodesRequest) {
    this.#requireAvailable();
    const states = episodeIds.map((id) => {
      if (this.running.has(id)) return EpisodeState.RUNNING;
      return this.closed.has(id) ? EpisodeState.CLOSED : EpisodeState.UNKNOWN;
    });
    const faults = episodeIds.flatMap((episodeId) => {
      const fault = this.faults.get(episodeId);
      return fault ? [{ episodeId, ...fault }] : [];
    });
    return { states, faults };
  }

  async #cancel(request: CancelOrderSagaRequest) {
    this.#requireAvailable();
    this.cancels.push(request);
    await this.onCancel(request);
    if (!this.running.has(request.sagaId)) throw sagaRefusal("SAGA_NOT_FOUND", Code.NotFound);
    return {};
  }

  #requireAvailable(): void {
    if (!this.available) throw new ConnectError("nobody answers", Code.Unavailable);
  }
}

/** A refusal as the worker sends it. */
export function sagaRefusal(reason: string, code: Code): ConnectError {
  const details = [{ desc: ErrorInfoSchema, value: { domain: "sagas.shop", reason } }];
  return new ConnectError(reason, code, undefined, details);
}
