import { hash } from "node:crypto";
import { type AuditOrigin, auditOrigin } from "#platform/audit/audit-entry.ts";
import { requestContext } from "#platform/context.ts";
import type { Database } from "#platform/database/database.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import type { Transaction } from "#platform/database/transaction.ts";
import { decodeId } from "#platform/id.ts";
import type { OrderMetrics } from "../order/metrics.ts";
import type { OrderRepository } from "../order/order.repository.ts";
import { returnEntry } from "../order/order-audit.ts";
import type { ExchangeJson } from "../order/order-row.ts";
import { returnNotFound } from "./errors.ts";
import type { OrderReturnRepository } from "./order-return.repository.ts";
import { hasCome, type OrderReturn } from "./order-return.ts";
import { madeExchange, type ReturnExchange, refusedExchange } from "./return-exchange.ts";
import type { ReturnMetrics } from "./return-metrics.ts";

/** What is to become of an exchange. */
export interface ExchangeDecision {
  readonly orderId: string;
  readonly returnId: string;
  /** What is credited to the new order, credit by credit, in minor units. */
  readonly credits: readonly bigint[];
  /** Why nothing can be credited; empty: it is. */
  readonly failure: string;
}

/** What exchanges work with. */
export interface ReturnExchangesOptions {
  readonly database: Database;
  readonly repository: OrderReturnRepository;
  /** Reads and writes orders within a transaction. */
  readonly ordersWithin: (tx: Transaction) => Pick<OrderRepository, "insert" | "find">;
  readonly metrics: Pick<OrderMetrics, "created">;
  readonly returnMetrics: Pick<ReturnMetrics, "exchanged">;
  /** Told how many orders are to be carried. */
  readonly onPlaced: (count: number) => void;
}

/** Everything that the order is not told as others are. */
const link: SqlText = {
  name: "exchange_link",
  prepared: false,
  text: "update customer_order set exchange = $2::jsonb where order_id = $1",
};

const nobody = { method: "", requestId: "", fingerprint: Buffer.alloc(0) };

/**
 * Decides what becomes of exchanges, each once, under the lock of the order that the articles are of: the order that is sent for them is placed
 * with what notes that it is. So there never is a second one, nor one of which the return does not know.
 */
export class ReturnExchanges {
  readonly #options: ReturnExchangesOptions;

  constructor(options: ReturnExchangesOptions) {
    this.#options = options;
  }

  /** @returns whether the order is placed, now or before @throws RETURN_NOT_FOUND */
  async decide(decision: ExchangeDecision): Promise<boolean> {
    const { database, metrics, returnMetrics, onPlaced } = this.#options;
    const origin = auditOrigin();
    const { state, decided } = await database.transaction((tx) => this.#decide(tx, decision, origin));
    returnMetrics.exchanged(decided);
    if (decided?.state === "made") {
      metrics.created.inc();
      onPlaced(1);
    }
    return state === "made";
  }

  async #decide(
    tx: Transaction,
    decision: ExchangeDecision,
    origin: AuditOrigin,
  ): Promise<{ readonly state: ReturnExchange["state"]; readonly decided?: ReturnExchange }> {
    const { repository } = this.#options;
    const { orderId, returnId, failure } = decision;
    const order = await repository.lockOrder(tx, orderId, undefined);
    const before = order && (await repository.ofOrders([orderId], tx)).find((each) => each.returnId === returnId);
    if (!before) throw returnNotFound({ orderId, returnId });
    const { exchange } = before;
    if (!exchange || exchange.state === "refused" || !hasCome(before.status)) return { state: "refused" };
    if (exchange.state !== "wanted") return { state: "made" };
    const reason = failure || (await this.#place(tx, { before, exchange, decision, origin }));
    const now = { ...before, exchange: reason ? refusedExchange(exchange, reason) : madeExchange(exchange) };
    const { state } = now.exchange;
    const details = { exchange: exchange.orderId, credit: String(exchange.credit), ...(reason && { reason }) };
    await repository.save(tx, {
      now: { ...now, revision: before.revision + 1 },
      isToBeCarried: false,
      texts: {},
      audit: returnEntry({ action: `exchange_${state}`, orderId, returnId, details, origin }),
      key: nobody,
    });
    return { state, decided: now.exchange };
  }

  /** Places the order. @returns why it cannot be; empty: it is */
  async #place(tx: Transaction, { before, exchange, decision, origin }: Placing): Promise<string> {
    const { credits } = decision;
    const sum = credits.reduce((all, credit) => all + credit, 0n);
    if (sum !== exchange.credit) throw new RangeError(`credits sum to ${sum}, the exchange is told ${exchange.credit}`);
    const orders = this.#options.ordersWithin(tx);
    const [first] = await orders.find([before.orderId]);
    if (!first) return "CUSTOMER_GONE";
    const { orderId, lines, total, prices, cardToken } = exchange;
    // With a space, as no caller's.
    const requestId = `exchange of ${before.returnId}`;
    const placed = {
      requestId,
      fingerprint: hash("sha256", requestId, "buffer"),
      orderId,
      customerId: before.customerId,
      lines,
      total,
      prices,
      shippingAddress: first.shippingAddress,
      cardToken: total.amount > exchange.credit ? cardToken : "",
      shortagePolicy: "reject",
      traceparent: requestContext().traceParent ?? "",
      origin,
    } as const;
    const [contact] = await orders.insert([placed]);
    if (!contact) return "CUSTOMER_GONE";
    const column: ExchangeJson = {
      orderId: decodeId(before.orderId),
      returnId: decodeId(before.returnId),
      credits: credits.map(String),
    };
    await tx.query(link, [decodeId(orderId), JSON.stringify(column)]);
    return "";
  }
}

interface Placing {
  readonly before: OrderReturn;
  readonly exchange: ReturnExchange;
  readonly decision: ExchangeDecision;
  readonly origin: AuditOrigin;
}
