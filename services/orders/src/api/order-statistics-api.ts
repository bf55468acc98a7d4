import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import {
  type GetOrderStatisticsRequest,
  GetOrderStatisticsResponseSchema,
  OrderStatisticSchema,
  type OrderStatisticsService,
  RefreshOrderStatisticsResponseSchema,
} from "#gen/shop/orders/v1/order_statistics_service_pb.js";
import { MoneySchema } from "#gen/shop/type/v1/money_pb.js";
import type { Json, PageTokens } from "#platform/page-token.ts";
import { wholeMs } from "#platform/timestamp.ts";
import { whole } from "#platform/whole.ts";
import type {
  Statistic,
  StatisticPlace,
  StatisticsFilter,
  StatisticsRepository,
} from "../statistics/statistics.repository.ts";
import type { Statistics } from "../statistics/statistics.ts";
import { fromStatusProto, toStatusProto } from "./order-proto.ts";

/** How long one call counts, in milliseconds: it ends well within the time of any caller. */
const refreshBudgetMs = 3_000;

/** What the service works with. */
export interface OrderStatisticsApiOptions {
  readonly statistics: Pick<Statistics, "refresh">;
  readonly repository: Pick<StatisticsRepository, "list" | "state">;
  readonly pageTokens: PageTokens;
}

/** OrderStatisticsService, as its proto says. */
export class OrderStatisticsApi implements ServiceImpl<typeof OrderStatisticsService> {
  readonly #options: OrderStatisticsApiOptions;

  constructor(options: OrderStatisticsApiOptions) {
    this.#options = options;
  }

  /** Reads what was counted. The time is read first: what the counts show is not older. */
  async getOrderStatistics(request: GetOrderStatisticsRequest) {
    const { repository, pageTokens } = this.#options;
    const filter = toFilter(request);
    const { trueUntilTime } = await repository.state();
    const { items, nextPageToken } = await pageTokens.page(request, {
      filter: ["GetOrderStatistics", ...Object.values(filter).map((value) => value ?? null)],
      place: toPlace,
      read: (page) => repository.list(filter, page),
      cursorOf: ({ day, sku, currency, status }) => [day, sku, currency, status],
    });
    const statistics = items.map(toProto);
    return whole(GetOrderStatisticsResponseSchema, { statistics, nextPageToken, trueUntilTime: toTime(trueUntilTime) });
  }

  /** Counts what has happened since. */
  async refreshOrderStatistics() {
    const { events, more, trueUntil } = await this.#options.statistics.refresh(refreshBudgetMs);
    return whole(RefreshOrderStatisticsResponseSchema, {
      events: BigInt(events),
      more,
      trueUntilTime: toTime(trueUntil),
    });
  }
}

function toTime(time: Date | null | undefined) {
  return time ? timestampFromDate(time) : undefined;
}

function toFilter(request: GetOrderStatisticsRequest): StatisticsFilter {
  const { createTimeFrom, createTimeUntil, currency, status, sku, byArticle } = request;
  return {
    firstDay: dayOf(wholeMs(createTimeFrom) ?? 0),
    lastDay: dayOf((wholeMs(createTimeUntil) ?? 1) - 1),
    currency: currency || undefined,
    status: fromStatusProto(status),
    sku: byArticle ? sku || undefined : sku,
  };
}

/** The days that a date of the database can be, in milliseconds. */
const firstMs = Date.parse("0001-01-01T00:00:00Z");
const lastMs = Date.parse("9999-12-31T23:59:59.999Z");

function dayOf(ms: number): string {
  return new Date(Math.min(Math.max(ms, firstMs), lastMs)).toISOString().slice(0, 10);
}

function toPlace(cursor: Json): StatisticPlace | undefined {
  if (!Array.isArray(cursor) || cursor.length !== 4) return undefined;
  const [day, sku, currency, status] = cursor.map(String);
  return [day ?? "", sku ?? "", currency ?? "", status ?? ""];
}

function toProto({ day, sku, currency, status, orders, units, ordered, captured, refunded }: Statistic) {
  const money = (amount: bigint) => create(MoneySchema, { currency, amount });
  const ofOrders = sku === "";
  return whole(OrderStatisticSchema, {
    day,
    status: toStatusProto(status),
    sku,
    orders,
    units,
    ordered: money(ordered),
    captured: ofOrders ? money(captured) : undefined,
    refunded: ofOrders ? money(refunded) : undefined,
  });
}
