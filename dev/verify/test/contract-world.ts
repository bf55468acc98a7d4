import { type Client, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import pg from "pg";
import { NotificationKind } from "#gen/shop/notifications/v1/notification_pb.js";
import { OrderEpisodeService, ParkedStepDecision } from "#gen/shop/orders/v1/order_episode_service_pb.js";
import { OrderStatus } from "#gen/shop/orders/v1/order_pb.js";
import { PaymentService } from "#gen/shop/payments/v1/payment_service_pb.js";
import { Clients } from "#platform/grpc/clients.ts";
import { decodeId, newId } from "#platform/id.ts";
import { until } from "#testing/until.ts";
import { Shopper } from "../../shop/shopper.ts";
import type { Stack } from "../../stack/stack.ts";
import { patient } from "../../testing/processes.ts";
import type { ContractCall } from "./contract-fields.ts";
import type { Ids } from "./field-texts.ts";
import type { Proofs } from "./proofs.ts";

/** What a call needs so that it does something. */
export interface Prepared {
  readonly ids: Ids;
  /** See `Filling.values`. */
  readonly values?: Readonly<Record<string, number>>;
}

const parkedStep = "capture:north";

/** Makes what calls are about: customers, orders at any stage, a step that waits for an operator. */
export class World implements Disposable {
  readonly #shopper: Shopper;
  readonly #clients: Clients;
  readonly #episodes: Client<typeof OrderEpisodeService>;
  readonly #payments: Client<typeof PaymentService>;
  readonly #headers: Stack["headers"];
  readonly #database: string;
  #orders = 0;
  #customerId = "";
  #delivered!: Ids;

  private constructor(stack: Stack, proofs: Proofs) {
    this.#shopper = new Shopper(stack);
    // What is asked of orders here, the worker asks.
    this.#clients = new Clients({
      defaultTimeoutMs: 10_000,
      maxMessageBytes: 4 * 1024 * 1024,
      authorization: () => proofs.of("worker").authorization,
    });
    this.#episodes = this.#clients.client(OrderEpisodeService, stack.address("orders"));
    this.#payments = createClient(
      PaymentService,
      createGrpcTransport({ baseUrl: `http://${stack.address("payments")}` }),
    );
    this.#headers = stack.headers;
    this.#database = stack.databaseUrl("orders", "postgres");
  }

  /** Fills a shelf and has an order delivered. */
  static async create(stack: Stack, proofs: Proofs): Promise<World> {
    const world = new World(stack, proofs);
    await world.#shopper.stock("beans", "north", 1_000_000);
    world.#customerId = await world.#shopper.customer("Tracey");
    world.#delivered = await world.#order(OrderStatus.DELIVERED);
    return world;
  }

  /** Of an order that was delivered. */
  get ids(): Ids {
    return this.#delivered;
  }

  /** What a call needs that changes something only once. */
  async prepare({ method }: ContractCall): Promise<Prepared> {
    switch (method.name) {
      case "CancelOrder":
      case "AmendOrder":
      case "CancelOrderLines":
        return { ids: await this.#order(OrderStatus.PREPARING) };
      case "BatchTransitionOrders": {
        const values = { "TransitionOrderRequest.status": OrderStatus.FAILED };
        return { ids: await this.#order(OrderStatus.PREPARING), values };
      }
      case "SetPreferences":
        return {
          ids: this.#delivered,
          values: { "SetPreferencesRequest.muted_kinds": NotificationKind.PARCEL_SHIPPED },
        };
      case "BatchSettleOrders": {
        const values = { "SettleOrderRequest.status": OrderStatus.FAILED };
        return { ids: await this.#carried(await this.#order(OrderStatus.PREPARING)), values };
      }
      case "BatchDecideParkedSteps":
      case "DecideParkedStep": {
        const values = { "DecideParkedStepRequest.decision": ParkedStepDecision.RESOLVE };
        return { ids: await this.#parked(), values };
      }
      case "RetryParkedStep":
      case "ResolveParkedStep":
        return { ids: await this.#parked() };
      case "ApproveRefund":
      case "RejectRefund":
        return { ids: await this.#refundOf(await this.#order(OrderStatus.DELIVERED)) };
      default:
        return { ids: this.ids };
    }
  }

  async #order(status: OrderStatus): Promise<Ids> {
    this.#orders += 1;
    const wish = { cardToken: "tok_approve", lines: [{ sku: "beans", quantity: 2 }] };
    const orderId = await this.#shopper.place(this.#customerId, { ...wish, requestId: `world-${this.#orders}` });
    const isThere = async () => (await this.#shopper.get(orderId)).status === status;
    await until(isThere, `${OrderStatus[status]} of an order`, patient);
    const { sagaId, shipments } = await this.#shopper.get(orderId);
    const { shipmentId = "", trackingNumber = "" } = shipments[0] ?? {};
    const ids = { customerId: this.#customerId, orderId, sagaId, shipmentId, trackingNumber };
    return { ...ids, episodeId: newId(), step: parkedStep, refundRequestId: newId() };
  }

  /** An order that rests is given to an episode, of which no workflow knows. */
  async #carried(ids: Ids): Promise<Ids> {
    const client = new pg.Client({ connectionString: this.#database });
    await client.connect();
    try {
      const text = "update customer_order set episode_id = $2 where order_id = $1 and episode_id is null";
      const values = [decodeId(ids.orderId), decodeId(ids.episodeId)];
      await until(async () => (await client.query(text, values)).rowCount === 1, "an order that rests", patient);
    } finally {
      await client.end();
    }
    return ids;
  }

  /** A refund that waits for a second person, where one is needed for whatever is refunded. */
  async #refundOf(ids: Ids): Promise<Ids> {
    const { orderId: paymentId } = ids;
    const request = { requestId: newId(), paymentId, amount: { currency: "EUR", amount: 1n } };
    const { refundRequest } = await this.#payments.refundPayment(request, { headers: this.#headers });
    return { ...ids, refundRequestId: refundRequest?.refundRequestId ?? newId() };
  }

  /** A step that waits for an operator, of an order to which nothing happens any more. */
  async #parked(): Promise<Ids> {
    const ids = await this.#carried(await this.#order(OrderStatus.DELIVERED));
    const { orderId, episodeId, step } = ids;
    const { saga } = await this.#episodes.getOrderSaga({ orderId });
    const parked = { step, reason: "CAPTURE_REFUSED", error: "as agreed" };
    const settlement = { orderId, episodeId, saga: saga?.saga ?? "{}", parked };
    const { outcomes } = await this.#episodes.batchSettleOrders({ requests: [settlement] });
    if (outcomes[0]?.outcome.case !== "response") throw new Error(`not parked: ${JSON.stringify(outcomes)}`);
    return ids;
  }

  [Symbol.dispose](): void {
    this.#shopper[Symbol.dispose]();
    this.#clients.close();
  }
}
