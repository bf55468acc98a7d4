import type { SecureClientSessionOptions } from "node:http2";
import type { DescService } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError, createClient, type Interceptor, type Transport } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { InventoryService } from "./gen/shop/inventory/v1/inventory_service_pb.js";
import { CustomerService } from "./gen/shop/orders/v1/customer_service_pb.js";
import { OrderService } from "./gen/shop/orders/v1/order_service_pb.js";
import { PaymentService } from "./gen/shop/payments/v1/payment_service_pb.js";
import { SagaService } from "./gen/shop/sagas/v1/saga_service_pb.js";
import { ShippingService } from "./gen/shop/shipping/v1/shipping_service_pb.js";
import { type HeaderSource, RepeatingTransport } from "./repeating-transport.ts";
import { Retry, type RetryOptions } from "./retry.ts";
import type { Timeouts } from "./timeouts.ts";

/** The processes of a mesh. */
export type ServiceName = "orders" | "payments" | "inventory" | "shipping" | "worker" | "notifications" | "webhooks";

/** Where a mesh is, and how it is called. */
export interface ClientOptions {
  /**
   * The gRPC ports of the services that are called, for example `{ orders: "https://orders.shop.internal:50051" }`. Several of one
   * service are called in turn.
   */
  readonly addresses: Partial<Readonly<Record<ServiceName, string | readonly string[]>>>;
  /** Headers of each attempt, such as credentials: asked for each time, so that a token that ran out can be replaced. */
  readonly headers?: HeaderSource;
  /** For `https`: whom to trust (`ca`), and who we are (`cert`, `key`). */
  readonly tls?: Pick<SecureClientSessionOptions, "ca" | "cert" | "key" | "passphrase" | "servername">;
  readonly timeouts?: Partial<Timeouts>;
  readonly retry?: RetryOptions;
  /** Of Connect, around each attempt; for traces, for example. */
  readonly interceptors?: Interceptor[];
  /** The largest answer that is read, in bytes; default 8 MiB, as the services have it. */
  readonly maxMessageBytes?: number;
}

/** How long a connection may be silent while calls wait, until it is asked whether it is still there; milliseconds. */
const ping = { pingIntervalMs: 20_000, pingTimeoutMs: 5_000 };

/** The clients of a mesh. Connections are made when they are needed. */
export class Ordermesh {
  readonly #options: ClientOptions;
  readonly #retry: Retry;
  readonly #transports = new Map<ServiceName, Transport>();
  readonly #sessions: Http2SessionManager[] = [];
  readonly #closing = new AbortController();

  constructor(options: ClientOptions) {
    this.#options = options;
    this.#retry = new Retry(options.retry);
  }

  get orders(): Client<typeof OrderService> {
    return this.client(OrderService, "orders");
  }

  get customers(): Client<typeof CustomerService> {
    return this.client(CustomerService, "orders");
  }

  get payments(): Client<typeof PaymentService> {
    return this.client(PaymentService, "payments");
  }

  get inventory(): Client<typeof InventoryService> {
    return this.client(InventoryService, "inventory");
  }

  get shipping(): Client<typeof ShippingService> {
    return this.client(ShippingService, "shipping");
  }

  /** For operators: the process of an order, and its steps that wait for a decision. */
  get sagas(): Client<typeof SagaService> {
    return this.client(SagaService, "worker");
  }

  /** A client of any service of the contract. @throws RangeError when no address is known */
  client<T extends DescService>(service: T, at: ServiceName): Client<T> {
    return createClient(service, this.#transportTo(at));
  }

  /** Ends all connections. Calls that are under way fail, and those that are made later. */
  close(): void {
    this.#closing.abort(new ConnectError("this client was closed; make a new one", Code.FailedPrecondition));
    for (const session of this.#sessions.splice(0)) session.abort();
    this.#transports.clear();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #transportTo(name: ServiceName): Transport {
    const known = this.#transports.get(name);
    if (known) return known;
    const { addresses, headers, timeouts } = this.#options;
    const places = [addresses[name] ?? []].flat();
    if (places.length === 0) throw new RangeError(`addresses.${name} is not given`);
    const options = { retry: this.#retry, headers, timeouts, closed: this.#closing.signal };
    const transport = new RepeatingTransport(
      places.map((baseUrl) => this.#connect(baseUrl)),
      options,
    );
    this.#transports.set(name, transport);
    return transport;
  }

  #connect(baseUrl: string): Transport {
    const { tls, interceptors = [], maxMessageBytes: readMaxBytes = 8 * 1024 * 1024 } = this.#options;
    const sessionManager = new Http2SessionManager(baseUrl, ping, tls);
    this.#sessions.push(sessionManager);
    return createGrpcTransport({ baseUrl, sessionManager, interceptors, readMaxBytes });
  }
}
