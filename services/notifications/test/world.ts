import { PassThrough } from "node:stream";
import { create, type DescMessage, type MessageInitShape, toBinary, toJsonString } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { type Client, Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import { Registry } from "prom-client";
import { NotificationService } from "#gen/shop/notifications/v1/notification_service_pb.js";
import {
  type Order,
  OrderSchema,
  type OrderShipment,
  OrderShipmentSchema,
  OrderShipmentStatus,
  OrderStatus,
} from "#gen/shop/orders/v1/order_pb.js";
import { OrderService } from "#gen/shop/orders/v1/order_service_pb.js";
import { eventsConfig, loadConfig, platformConfig } from "#platform/config.ts";
import { NatsBroker } from "#platform/events/nats-broker.ts";
import { newId } from "#platform/id.ts";
import { contextInterceptor } from "#platform/interceptors/context.ts";
import { errorInterceptor } from "#platform/interceptors/errors.ts";
import { validationInterceptor } from "#platform/interceptors/validation.ts";
import { keptLog } from "#testing/logger.ts";
import { type TestDatabase, testDatabase } from "#testing/postgres.ts";
import { Mailbox } from "../../../dev/mail/mailbox.ts";
import { NatsServer } from "../../../dev/testing/nats.ts";
import { notificationsConfig } from "../src/config.ts";
import type { HeardType } from "../src/inbox/heard-event.ts";
import { migrations } from "../src/migrations/list.ts";
import { buildNotifications } from "../src/notifications.ts";

/** What a test says of an order. */
export type OrderGiven = Omit<MessageInitShape<typeof OrderSchema>, "$typeName">;

/** Orders as another service sees them, without a process. */
export class Orders {
  /** Whether it answers. */
  isAway = false;
  /** What it does before it answers. */
  pause = async (): Promise<void> => undefined;
  readonly #orders = new Map<string, Order>();

  /** Keeps an order of Ada in two parcels, or as it is given. */
  add(given: OrderGiven = {}): Order {
    const order = create(OrderSchema, {
      orderId: newId(),
      customerId: newId(),
      contact: { givenName: "Ada", familyName: "Lovelace", email: "ada@example.com" },
      status: OrderStatus.CONFIRMED,
      lines: [{ sku: "espresso-beans-1kg", quantity: 2, unitPrice: { currency: "EUR", amount: 2_190n } }],
      total: { currency: "EUR", amount: 123_456n },
      shippingAddress: { recipient: "Ada Lovelace", lines: ["1 Way"], city: "London", country: "GB" },
      createTime: timestampFromDate(new Date("2026-12-01T12:00:00Z")),
      ...given,
    });
    this.#orders.set(order.orderId, order);
    return order;
  }

  get(orderId: string): Order {
    if (this.isAway) throw new ConnectError("away", Code.Unavailable);
    const order = this.#orders.get(orderId);
    if (!order) throw new ConnectError("no such order", Code.NotFound);
    return order;
  }

  remove(orderId: string): void {
    this.#orders.delete(orderId);
  }
}

/** A parcel of an order. */
export function parcel(locationId: string, status = OrderShipmentStatus.SHIPPED): OrderShipment {
  return create(OrderShipmentSchema, {
    locationId,
    shipmentId: newId(),
    status,
    trackingNumber: `TRACK-${locationId}`,
    lines: [{ sku: "espresso-cup", quantity: 3 }],
  });
}

/** An event to be told. */
export interface Said<Schema extends DescMessage> {
  readonly type: HeardType | (string & {});
  readonly schema: Schema;
  readonly data: MessageInitShape<Schema>;
  readonly id?: string;
  readonly format?: "json" | "protobuf";
}

/** A broker, a mail server, orders and a database, and the service between them. */
export class World implements AsyncDisposable {
  readonly test: TestDatabase;
  readonly nats: NatsServer;
  readonly mailbox: Mailbox;
  readonly orders = new Orders();
  #broker: NatsBroker;

  private constructor(test: TestDatabase, nats: NatsServer, mailbox: Mailbox) {
    this.test = test;
    this.nats = nats;
    this.mailbox = mailbox;
    const stream = { name: "ordermesh", maxAgeMs: 3_600_000, maxBytes: 64 * 1024 * 1024, replicas: 1 };
    this.#broker = new NatsBroker({ servers: [nats.url], name: "test", stream });
  }

  static async open(): Promise<World> {
    const [test, nats, mailbox] = await Promise.all([
      testDatabase("notifications", { entities: [], migrations }),
      NatsServer.start(),
      Mailbox.start(),
    ]);
    const world = new World(test, nats, mailbox);
    // Before the service would make another stream.
    await world.#broker.open();
    // As one that has read before: what is told from now on is read, whenever it runs.
    await test.database.query("insert into stream_cursor (place) values (0)");
    return world;
  }

  /** Tells an event as the services do. */
  async tell<Schema extends DescMessage>({ type, schema, data, id = newId(), format = "json" }: Said<Schema>) {
    const message = create(schema, data);
    const isJson = format === "json";
    const { arrived, error } = await this.#broker.deliver([
      {
        address: `ordermesh.${type.slice("shop.".length, -".v1".length)}`,
        event: {
          attributes: {
            specversion: "1.0",
            id,
            source: "/ordermesh/test",
            type,
            subject: "whoever it is",
            time: new Date().toISOString(),
            datacontenttype: isJson ? "application/json" : "application/protobuf",
            dataschema: `#${schema.typeName}`,
          },
          data: isJson ? Buffer.from(toJsonString(schema, message)) : toBinary(schema, message),
        },
      },
    ]);
    if (arrived !== 1) throw error;
    return id;
  }

  /** What the service finds in its environment; short pauses, so that a test need not wait. */
  environment(more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
    return {
      GRPC_PORT: "0",
      HTTP_PORT: "0",
      TOKEN_ISSUERS: "none",
      DATABASE_URL: this.test.url,
      PAGE_TOKEN_SECRET: "a secret of at least 32 characters",
      EVENTS_NATS_URL: this.nats.url,
      MAIL_SERVER_URL: this.mailbox.url,
      MAIL_TLS: "none",
      MAIL_FROM: "orders@shop.example",
      MAIL_SHOP_NAME: "The shop",
      MAIL_TIMEOUT_MS: "1000",
      ORDERS_TIMEOUT_MS: "500",
      NOTIFICATION_RETRY_MS: "20",
      NOTIFICATION_RETRY_MAX_MS: "100",
      NOTIFICATION_SWEEP_MS: "10",
      ...more,
    };
  }

  /** One replica of the service with its loops, called in memory through interceptors that it has in production. */
  async start(more: NodeJS.ProcessEnv = {}): Promise<Running> {
    const config = loadConfig({ ...platformConfig, ...eventsConfig, ...notificationsConfig }, this.environment(more));
    const { logger, text } = keptLog("notifications");
    const orders = createClient(
      OrderService,
      createRouterTransport(({ service }) =>
        service(OrderService, {
          getOrder: async ({ orderId }) => {
            await this.orders.pause();
            return { order: this.orders.get(orderId) };
          },
        }),
      ),
    );
    const registry = new Registry();
    const { database } = this.test;
    const output = new PassThrough().resume();
    const parts = buildNotifications({ config, database, logger, registry, output, orders });
    await parts.start?.();
    const interceptors = [contextInterceptor(30_000), errorInterceptor(), validationInterceptor([NotificationService])];
    const transport = createRouterTransport(
      (router) => {
        for (const { route } of parts.services) route(router);
      },
      { router: { interceptors } },
    );
    return {
      client: createClient(NotificationService, transport),
      registry,
      log: text,
      [Symbol.asyncDispose]: async () => parts.stop?.(),
    };
  }

  /** The mails about an order, in the order in which they came. */
  mailsOf({ orderId }: Pick<Order, "orderId">) {
    return this.mailbox.mails.filter(({ subject }) => subject.includes(orderId));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#broker.close();
    await Promise.all([this.mailbox.close(), this.nats[Symbol.asyncDispose](), this.test[Symbol.asyncDispose]()]);
  }
}

/** A running service. */
export interface Running extends AsyncDisposable {
  readonly client: Client<typeof NotificationService>;
  readonly registry: Registry;
  readonly log: () => string;
}
