import type { Client } from "@connectrpc/connect";
import { OrderStatus } from "#gen/shop/orders/v1/order_pb.js";
import { SagaService } from "#gen/shop/sagas/v1/saga_service_pb.js";
import { Clients } from "#platform/grpc/clients.ts";
import { until } from "#testing/until.ts";
import { Shopper } from "../../shop/shopper.ts";
import type { Stack } from "../../stack/stack.ts";
import { patient } from "../../testing/processes.ts";
import type { ContractCall } from "./contract-fields.ts";
import type { Ids } from "./field-texts.ts";

/** What a call needs so that it does something. */
export interface Prepared {
  readonly ids: Ids;
  /** See `Filling.values`. */
  readonly values?: Readonly<Record<string, number>>;
}

/** Makes what calls are about: customers, orders at any stage, a step that waits for an operator. */
export class World implements Disposable {
  readonly #shopper: Shopper;
  readonly #clients = new Clients({ defaultTimeoutMs: 10_000, maxMessageBytes: 4 * 1024 * 1024 });
  readonly #sagas: Client<typeof SagaService>;
  #orders = 0;
  #customerId = "";
  #delivered!: Ids;

  private constructor(stack: Stack) {
    this.#shopper = new Shopper(stack);
    this.#sagas = this.#clients.client(SagaService, stack.address("worker"));
  }

  /** Fills a shelf and has an order delivered. */
  static async create(stack: Stack): Promise<World> {
    const world = new World(stack);
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
      case "CancelOrderSaga":
        return { ids: await this.#order(OrderStatus.PREPARING) };
      case "BatchTransitionOrders": {
        const values = { "TransitionOrderRequest.status": OrderStatus.FAILED };
        return { ids: await this.#order(OrderStatus.PREPARING), values };
      }
      case "ResolveParkedStep":
        return { ids: await this.#parked() };
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
    return { customerId: this.#customerId, orderId, sagaId, shipmentId, trackingNumber, step: "capture:north" };
  }

  /** A step that nobody can do: its order was ended behind the saga's back. */
  async #parked(): Promise<Ids> {
    const look = async () => (await this.#sagas.listParkedSteps({})).steps[0];
    const { orderId, sagaId, step } = await until(look, "a parked step", patient);
    return { ...this.ids, orderId, sagaId, step };
  }

  [Symbol.dispose](): void {
    this.#shopper[Symbol.dispose]();
    this.#clients.close();
  }
}
