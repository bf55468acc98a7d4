import type { Client } from "@connectrpc/connect";
import {
  BatchReportStockRequestSchema,
  type OrderEpisodeService,
  ReportStockRequestSchema,
} from "#gen/shop/orders/v1/order_episode_service_pb.js";
import { type Telling, tellEach } from "#platform/batch/tell-each.ts";
import type { Logger } from "#platform/log/logger.ts";
import { whole } from "#platform/whole.ts";
import type { BackOrderNewsRepository } from "./news.repository.ts";

/** What telling works with. */
export interface BackOrderNewsOptions {
  readonly repository: Pick<BackOrderNewsRepository, "claim" | "close" | "defer">;
  readonly orders: Pick<Client<typeof OrderEpisodeService>, "batchReportStock">;
  /** Gives back what is set aside for an order that nobody knows. */
  readonly stock: { giveBack(orderId: string): Promise<void> };
  /** Told what orders refuses, or fails for. */
  readonly logger: Pick<Logger, "warn">;
  /** How long the calls of one sweep may take together, in milliseconds. */
  readonly timeoutMs: number;
}

const batchSize = 256;

/** Tells orders whose turn has come, until it has taken it. */
export class BackOrderNews {
  readonly #options: BackOrderNewsOptions;

  constructor(options: BackOrderNewsOptions) {
    this.#options = options;
  }

  /**
   * Tells what is due; returns how much was taken or refused. What is set aside for an order that orders refuses is given back.
   *
   * @throws when orders is away, after all were put off
   */
  async sweep(signal: AbortSignal): Promise<number> {
    const { repository, stock, timeoutMs } = this.#options;
    const orderIds = await repository.claim(2 * timeoutMs, batchSize);
    if (orderIds.length === 0) return 0;
    const answers = await this.#tell(orderIds, AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]));
    const of = (kind: Telling["kind"]) => orderIds.filter((_, index) => answers[index]?.kind === kind);
    const refused = of("refused");
    // Nobody knows the order: nobody would ever give it back.
    await Promise.all(refused.map((orderId) => stock.giveBack(orderId)));
    const closed = [...of("told"), ...refused];
    await repository.close(closed);
    await repository.defer(of("failed"));
    this.#say(orderIds, answers);
    const away = answers.find((answer) => answer.kind === "failed" && answer.away);
    if (away?.kind === "failed" && closed.length === 0) throw away.error;
    return closed.length;
  }

  #tell(orderIds: readonly string[], signal: AbortSignal): Promise<Telling[]> {
    const { orders, timeoutMs } = this.#options;
    const tell = (some: readonly string[]) => {
      const requests = some.map((orderId) => whole(ReportStockRequestSchema, { orderId }));
      const batch = whole(BatchReportStockRequestSchema, { requests, traceparents: [] });
      return orders.batchReportStock(batch, { signal, timeoutMs });
    };
    return tellEach(orderIds, { whom: "orders", tell });
  }

  /** That orders is away is said once, by whoever sweeps. */
  #say(orderIds: readonly string[], answers: readonly Telling[]): void {
    const { logger } = this.#options;
    for (const [index, orderId] of orderIds.entries()) {
      const answer = answers[index];
      const fields = { "order.id": orderId };
      if (answer?.kind === "refused")
        logger.warn("orders does not know an order that has waited for stock, which is given back", {
          ...fields,
          "error.type": answer.reason,
        });
      else if (answer?.kind === "failed" && !answer.away)
        logger.warn("orders fails for an order whose turn has come and is told again", {
          ...fields,
          err: answer.error,
        });
    }
  }
}
