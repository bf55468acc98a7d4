import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { PassThrough } from "node:stream";
import type { DescService } from "@bufbuild/protobuf";
import { type Client, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import { Registry } from "prom-client";
import { Webhook } from "standardwebhooks";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.js";
import { WebhookService } from "#gen/shop/webhooks/v1/webhook_service_pb.js";
import { eventsConfig, loadConfig, platformConfig } from "#platform/config.ts";
import type { Database } from "#platform/database/database.ts";
import { newId } from "#platform/id.ts";
import { contextInterceptor } from "#platform/interceptors/context.ts";
import { errorInterceptor } from "#platform/interceptors/errors.ts";
import { validationInterceptor } from "#platform/interceptors/validation.ts";
import type { ServiceParts } from "#platform/process/service.ts";
import { quietLogger } from "#testing/logger.ts";
import { type TestDatabase, testDatabase } from "#testing/postgres.ts";
import { webhooksConfig } from "../src/config.ts";
import type { HeardEvent } from "../src/delivery/heard-event.ts";
import { plan } from "../src/delivery/plan.ts";
import { subscriptionsOf } from "../src/endpoint/endpoint.repository.ts";
import { migrations } from "../src/migrations/list.ts";
import { buildWebhooks } from "../src/webhooks.ts";

/** Where subscribers of this test are: replicas that are made afterwards send there. */
const ports = new Set<number>();

/** A fresh webhooks database. */
export function webhooksDatabase(): Promise<TestDatabase> {
  return testDatabase("webhooks", { entities: [], migrations, connection: { poolMax: 8 } });
}

/** A request as a subscriber got it. */
export interface Got {
  readonly path: string;
  readonly id: string;
  readonly type: string;
  readonly data: Readonly<Record<string, unknown>>;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** What a subscriber answers. */
export type Answer =
  | number
  | { readonly status: number; readonly headers?: Record<string, string>; readonly body?: string };

/** A subscriber, who proves himself and then answers as he is told. */
export class Subscriber implements AsyncDisposable {
  readonly got: Got[] = [];
  /** By endpoint, as its path names it. */
  readonly secrets = new Map<string, string>();
  answer: (got: Got) => Answer | Promise<Answer> = () => 204;
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => {
      void this.#take(request).then(({ status, headers, body }) => response.writeHead(status, headers).end(body));
    });
  }

  static async start(): Promise<Subscriber> {
    const subscriber = new Subscriber();
    await new Promise<void>((resolve) => subscriber.#server.listen(0, "127.0.0.1", resolve));
    ports.add(subscriber.port);
    return subscriber;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  url(path: string): string {
    return `http://127.0.0.1:${this.port}/${path}`;
  }

  /** What came to a path, but for challenges. */
  to(path: string): Got[] {
    return this.got.filter((each) => each.path === path && each.type !== "webhooks.challenge.v1");
  }

  async #take(request: IncomingMessage) {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks).toString();
    const path = (request.url ?? "").slice(1);
    const headers = request.headers as Record<string, string>;
    const { type, data } = JSON.parse(body) as Pick<Got, "type" | "data">;
    const got: Got = { path, id: headers["webhook-id"] ?? "", type, data, headers, body, at: Date.now() };
    this.got.push(got);
    const answer = type === "webhooks.challenge.v1" ? this.#prove(got) : await this.answer(got);
    return typeof answer === "number"
      ? { status: answer, headers: {}, body: "" }
      : { headers: {}, body: "", ...answer };
  }

  #prove({ path, id, data, headers }: Got): Answer {
    const secret = this.secrets.get(path);
    if (secret === undefined) return 404;
    const time = new Date(Number(headers["webhook-timestamp"]) * 1_000);
    const signature = new Webhook(secret).sign(id, time, String(data.challenge));
    return { status: 200, body: JSON.stringify({ signature }) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** One replica of the service, as a process has it. */
export class Replica {
  readonly parts: ServiceParts;
  readonly registry: Registry;
  readonly api: Client<typeof WebhookService>;

  constructor(database: Database, given: NodeJS.ProcessEnv = {}) {
    const env = {
      GRPC_PORT: "0",
      HTTP_PORT: "0",
      TOKEN_ISSUERS: "none",
      DATABASE_URL: "postgres://nobody@localhost/unused",
      PAGE_TOKEN_SECRET: "a secret of at least thirty-two characters",
      PERSONAL_DATA_KEYS: `test ${Buffer.alloc(32, 7).toString("base64")}`,
      WEBHOOK_PLAIN_HTTP: "true",
      WEBHOOK_NETWORKS: "127.0.0.0/8",
      WEBHOOK_PORTS: Array.from(ports, String).join(",") || "443",
      WEBHOOK_SWEEP_MS: "10",
      WEBHOOK_TIMEOUT_MS: "1000",
      WEBHOOK_RETRY_PAUSES_MS: "30,60",
      ...given,
    };
    this.registry = new Registry();
    const config = loadConfig({ ...platformConfig, ...eventsConfig, ...webhooksConfig }, env);
    const output = new PassThrough().resume();
    this.parts = buildWebhooks({ config, database, logger: quietLogger(), registry: this.registry, output });
    this.api = this.client(WebhookService);
  }

  /** Calls the service in memory, through interceptors that it has in production. */
  client<T extends DescService>(service: T): Client<T> {
    const { services } = this.parts;
    const descriptors = services.map((registration) => registration.service);
    const interceptors = [contextInterceptor(30_000), errorInterceptor(), validationInterceptor(descriptors)];
    const route = (router: Parameters<Parameters<typeof createRouterTransport>[0]>[0]) => {
      for (const registration of services) registration.route(router);
    };
    return createClient(service, createRouterTransport(route, { router: { interceptors } }));
  }

  /** An endpoint of a subscriber that is told. */
  async endpoint(subscriber: Subscriber, name: string, eventTypes = ["shop.*"], personal = false): Promise<string> {
    const { endpoint, secret } = await this.api.createEndpoint({
      name,
      url: subscriber.url(name),
      eventTypes,
      personal,
    });
    subscriber.secrets.set(name, secret);
    const endpointId = endpoint?.endpointId ?? "";
    await this.api.enableEndpoint({ endpointId });
    return endpointId;
  }

  /** The value of a metric. */
  async figure(name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
    const { values = [] } = (await this.registry.getSingleMetric(name)?.get()) ?? {};
    const isSame = (of: object) => Object.entries(labels).every(([key, value]) => (of as typeof labels)[key] === value);
    return values.find((each) => isSame(each.labels))?.value ?? 0;
  }
}

let places = 0;

/** An event as the stream has it. */
export function heard(given: Partial<HeardEvent> = {}): HeardEvent {
  places += 1;
  const subject = given.subject ?? newId();
  return {
    eventId: newId(),
    type: "shop.orders.order.shipped.v1",
    subject,
    time: new Date(),
    data: JSON.stringify({ orderId: subject, revision: places }),
    place: places,
    ...given,
  };
}

/** Has events told to whoever wants them, as the reader has. */
export async function tell(database: Database, ...events: readonly HeardEvent[]): Promise<void> {
  await database.transaction(async (tx) => plan(tx, events, await subscriptionsOf(tx)));
}

/** The reason that a call is refused for. */
export async function reasonOf(call: Promise<unknown>): Promise<string> {
  return call.then(
    () => "none",
    (error: unknown) => {
      const told = ConnectError.from(error);
      return told.findDetails(ErrorInfoSchema)[0]?.reason ?? told.message;
    },
  );
}
