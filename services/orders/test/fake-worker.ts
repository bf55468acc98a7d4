import { type Client, Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.js";
import {
  type CancelOrderSagaRequest,
  SagaService,
  type StartOrderSagaRequest,
} from "#gen/shop/sagas/v1/saga_service_pb.js";
import { validationInterceptor } from "#platform/interceptors/validation.ts";

/** SagaService as a real router in memory, with what it was asked and hooks for what it does. */
export class FakeWorker {
  /** Every start that arrived, repeated ones too. */
  readonly starts: StartOrderSagaRequest[] = [];
  readonly cancels: CancelOrderSagaRequest[] = [];
  /** Sagas that run. */
  readonly running = new Set<string>();
  /** False: nobody answers. */
  available = true;
  /** Runs when the saga has started: what it throws is the answer that the caller gets instead. */
  onStart: (request: StartOrderSagaRequest) => Promise<void> | void = () => undefined;
  onCancel: (request: CancelOrderSagaRequest) => Promise<void> | void = () => undefined;
  readonly client: Client<typeof SagaService>;

  constructor() {
    const transport = createRouterTransport(
      ({ service }) => {
        service(SagaService, {
          startOrderSaga: (request) => this.#start(request),
          cancelOrderSaga: (request) => this.#cancel(request),
        });
      },
      { router: { interceptors: [validationInterceptor([SagaService])] } },
    );
    this.client = createClient(SagaService, transport);
  }

  async #start(request: StartOrderSagaRequest) {
    this.#requireAvailable();
    this.starts.push(request);
    const started = !this.running.has(request.sagaId);
    this.running.add(request.sagaId);
    await this.onStart(request);
    return { started };
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
