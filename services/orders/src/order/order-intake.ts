import { auditOrigin } from "#platform/audit/audit-entry.ts";
import { Batcher, type SubmitOptions } from "#platform/batch/batcher.ts";
import { keyMethod, replayable } from "#platform/database/idempotency.ts";
import type { Queryable } from "#platform/database/transaction.ts";
import { encodeId, timeOf } from "#platform/id.ts";
import { customerNotFound } from "./errors.ts";
import type { OrderMetrics } from "./metrics.ts";
import { type KeyedOrder, type OrderRepository, orderKeys, type SubmittedOrder } from "./order.repository.ts";
import type { Order, OrderContact, Prices } from "./order.ts";

/** An order that is durable. */
export interface Accepted {
  readonly orderId: string;
  /** As it was inserted; undefined when an earlier call with the same request id did that. */
  readonly order: Order | undefined;
}

/** What the intake works with. */
export interface OrderIntakeOptions {
  readonly database: Queryable;
  readonly repository: OrderRepository;
  /** Told how many became durable together; has them carried. */
  readonly onPlaced: (count: number) => void;
  /** Takes an order by that work, or not. @throws OVERLOADED */
  readonly enter: <T>(work: () => Promise<T>) => Promise<T>;
  readonly metrics: OrderMetrics;
  /** The most orders of one insert. */
  readonly batchMax: number;
  /** Inserts at the same time. */
  readonly lanes: number;
}

/** Of one statement, roughly. */
const maxBatchBytes = 256 * 1024;
/** Between two inserts for callers who wait for the confirmation, in milliseconds: an episode begins less often than that. */
const spacingMs = 50;

/** Takes new orders: what arrives together is inserted by one statement. */
export class OrderIntake {
  readonly #options: OrderIntakeOptions;
  readonly #batcher: Batcher<SubmittedOrder, Accepted>;

  constructor(options: OrderIntakeOptions) {
    this.#options = options;
    this.#batcher = new Batcher({
      name: "new orders",
      maxEntries: options.batchMax,
      maxBytes: maxBatchBytes,
      lanes: options.lanes,
      spacingMs,
      keyOf: (order) => `${keyMethod(orderKeys, order)}/${order.requestId}`,
      sizeOf: sizeInBytes,
      run: replayable<SubmittedOrder, Accepted>({
        database: options.database,
        ...orderKeys,
        run: (orders) => this.#insert(orders),
        decode: (response) => ({ orderId: encodeId(response.toString("hex")), order: undefined }),
      }),
    });
  }

  /** So many orders are inserted at the same time: who has more of them gains nothing by giving them all at once. */
  get width(): number {
    return this.#options.batchMax * this.#options.lanes;
  }

  /**
   * Makes an order durable and has it carried.
   *
   * @param patience until when the order may wait for its batch, by default until the call's deadline, and whether it waits for company
   * @throws CUSTOMER_NOT_FOUND, REQUEST_ID_REUSED, OVERLOADED
   */
  async accept(order: KeyedOrder, patience?: SubmitOptions): Promise<Accepted> {
    const submitted = { ...order, origin: auditOrigin(order.requestId) };
    return this.#options.enter(() => this.#batcher.submit(submitted, patience));
  }

  /** Resolves once everything that was taken is durable. */
  drain(): Promise<void> {
    return this.#batcher.drain();
  }

  async #insert(orders: SubmittedOrder[]): Promise<(Accepted | Error)[]> {
    if (orders.length === 0) return [];
    const contacts = await this.#options.repository.insert(orders);
    const placed = contacts.filter((contact) => contact !== undefined).length;
    if (placed > 0) {
      const { onPlaced, metrics } = this.#options;
      onPlaced(placed);
      metrics.created.inc(placed);
      metrics.batchSize.observe(placed);
    }
    return orders.map((order, index) => {
      const contact = contacts[index];
      return contact
        ? { orderId: order.orderId, order: toPending(order, contact) }
        : customerNotFound(order.customerId);
    });
  }
}

/** The order as the statement wrote it, without reading it again. */
function toPending(order: KeyedOrder, contact: OrderContact): Order {
  const { orderId, customerId, lines, total, prices, shippingAddress } = order;
  const createTime = timeOf(orderId);
  return {
    orderId,
    customerId,
    contact,
    status: "pending",
    lines,
    total,
    prices,
    shippingAddress,
    // The row's own, until a workflow carries it.
    sagaId: orderId,
    shipments: [],
    failure: undefined,
    history: [{ status: "pending", time: createTime }],
    revision: 1,
    createTime,
    updateTime: createTime,
    reviewTime: undefined,
    shortagePolicy: order.shortagePolicy,
    backOrderTime: undefined,
    amendment: undefined,
    cancellation: undefined,
    shortage: undefined,
    exchangeOf: undefined,
    restOf: undefined,
  };
}

/** Roughly what an order adds to the statement: texts, and what stands around them. */
function sizeInBytes({ lines, prices, shippingAddress, cardToken }: KeyedOrder): number {
  const { recipient, city, postalCode, lines: street } = shippingAddress;
  const address = [recipient, city, postalCode, ...street].reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  const rest = 256 + cardToken.length + address + (prices ? priceBytes(prices) : 0);
  return lines.reduce((sum, line) => sum + line.sku.length + 64, rest);
}

function priceBytes({ adjustments, lineAdjustments, lineAmounts }: Prices): number {
  const all = [...adjustments, ...lineAdjustments.flat()];
  return all.reduce((sum, { name }) => sum + Buffer.byteLength(name) + 48, 16 * lineAmounts.length);
}
