import assert from "node:assert/strict";
import { createHash, randomUUID } from "node:crypto";
import { PassThrough } from "node:stream";
import { create } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import { Registry } from "prom-client";
import { InventoryService } from "#gen/shop/inventory/v1/inventory_service_pb.js";
import {
  BatchReportStockResponseSchema,
  type ReportStockOutcome,
  ReportStockOutcomeSchema,
  ReportStockResponseSchema,
} from "#gen/shop/orders/v1/order_episode_service_pb.js";
import { FailureSchema } from "#gen/shop/type/v1/failure_pb.js";
import { loadConfig, platformConfig } from "#platform/config.ts";
import { Database } from "#platform/database/database.ts";
import type { Keyed } from "#platform/database/idempotency.ts";
import { newId } from "#platform/id.ts";
import { contextInterceptor } from "#platform/interceptors/context.ts";
import { errorInterceptor } from "#platform/interceptors/errors.ts";
import { validationInterceptor } from "#platform/interceptors/validation.ts";
import { quietLogger } from "#testing/logger.ts";
import { type TestDatabase, testDatabase } from "#testing/postgres.ts";
import { inventoryConfig } from "../src/config.ts";
import { buildInventory, type InventoryContext, type InventoryParts } from "../src/inventory.ts";
import { migrations } from "../src/migrations/list.ts";
import { StockLevelEntity } from "../src/stock.entity.ts";
import type { StockRepository } from "../src/stock.repository.ts";
import type { Line, Reservation, StockCommand } from "../src/stock.ts";

export const minute = 60_000;

/** A fresh inventory database. */
export function inventoryDatabase(poolMax = 8): Promise<TestDatabase> {
  return testDatabase("inventory", { entities: [StockLevelEntity], migrations, connection: { poolMax } });
}

/** Another process' connections to the same database. */
export function openReplica({ url }: TestDatabase, name: string, poolMax = 4): Promise<Database> {
  return Database.open({ url, name, entities: [StockLevelEntity], poolMax });
}

/** The service as a process has it, without its background work. */
export function inventoryOn(
  database: Database,
  given: Partial<Pick<InventoryContext, "registry" | "orders">> = {},
): InventoryParts {
  const env = {
    GRPC_PORT: "0",
    HTTP_PORT: "0",
    DATABASE_URL: "postgres://nobody@localhost/unused",
    PAGE_TOKEN_SECRET: "a secret of at least thirty-two characters",
    TOKEN_ISSUERS: "none",
  };
  return buildInventory({
    config: loadConfig({ ...platformConfig, ...inventoryConfig }, env),
    database,
    logger: quietLogger(),
    registry: new Registry(),
    output: new PassThrough().resume(),
    orders: { batchReportStock: () => Promise.reject(new ConnectError("nobody is there", Code.Unavailable)) },
    ...given,
  });
}

/** Calls the service in memory, through interceptors that it has in production. */
export function connect({ services }: InventoryParts): Client<typeof InventoryService> {
  const interceptors = [contextInterceptor(30_000), errorInterceptor(), validationInterceptor([InventoryService])];
  const transport = createRouterTransport(
    (router) => {
      for (const { route } of services) route(router);
    },
    { router: { interceptors } },
  );
  return createClient(InventoryService, transport);
}

/**
 * Lets time pass for all that is on hold: the clock that decides is the database's, and cannot be moved, so the ends of holds
 * come nearer.
 */
export async function pass(database: Database, milliseconds: number): Promise<void> {
  // In the order in which the service locks them, so that it may work meanwhile.
  await database.query(
    `with held as (select order_id from reservation where expire_time is not null order by order_id for update)
     update reservation as r set expire_time = expire_time - $1::int * interval '1 millisecond'
     from held where r.order_id = held.order_id and r.expire_time is not null`,
    [milliseconds],
  );
}

/** The key of a command: the same content has the same fingerprint. */
export function keyOf(content: unknown, requestId: string = randomUUID()): Keyed {
  const text = JSON.stringify(content, (_name, value) => (typeof value === "bigint" ? String(value) : value));
  return { requestId, fingerprint: createHash("sha256").update(text).digest() };
}

interface PartWish {
  readonly orderId?: string;
  readonly requestId?: string;
  readonly waits?: boolean;
}

/** Calls the repository the short way: `a:2 b:1` are two of a and one of b. */
export class Shop {
  readonly stock: StockRepository;

  constructor(database: Database, { stock } = inventoryOn(database)) {
    this.stock = stock;
  }

  /** `main:5` are five at the location main. */
  async deliver(sku: string, ...amounts: string[]): Promise<void> {
    for (const amount of amounts) {
      const [locationId = "", delta = "0"] = amount.split(":");
      const command = { kind: "adjust", sku, locationId, delta: BigInt(delta), reason: "delivery" } as const;
      await this.stock.adjust(keyOf(command), command);
    }
  }

  reserve(lines: string, orderId = newId(), requestId?: string): Promise<Reservation> {
    return this.do({ kind: "reserve", orderId, lines: toLines(lines), holdMs: 15 * minute }, requestId);
  }

  /** The same for an order that waits in turn when there is too little. */
  wait(lines: string, orderId = newId(), requestId?: string): Promise<Reservation> {
    return this.do({ kind: "reserve", orderId, lines: toLines(lines), holdMs: 15 * minute, waits: true }, requestId);
  }

  /** The same for an order that gets what is there, and waits when nothing is if it may. */
  part(lines: string, { orderId = newId(), requestId, waits = false }: PartWish = {}): Promise<Reservation> {
    const command = { kind: "reserve", orderId, lines: toLines(lines), holdMs: 15 * minute, partly: true } as const;
    return this.do({ ...command, waits }, requestId);
  }

  do(command: Exclude<StockCommand, { kind: "adjust" }>, requestId?: string): Promise<Reservation> {
    return this.stock.change(keyOf(command, requestId), command);
  }
}

/** Where a reservation's parts are and how they stand: `a@main:2 held`. */
export function show({ allocations }: Reservation): string {
  return allocations.map((part) => `${part.sku}@${part.locationId}:${part.quantity} ${part.status}`).join(", ");
}

/** What of a reservation is missing: `a:2 b:1`. */
export function missingOf({ missing = [] }: Reservation): string {
  return missing.map(({ sku, quantity }) => `${sku}:${quantity}`).join(" ");
}

/** Lets orders be told, or not, and says which were. */
export function tellable(): Pick<InventoryContext, "orders"> & { readonly told: string[]; answer: Telling } {
  const told: string[] = [];
  const fake = {
    told,
    answer: "taken" as Telling,
    orders: {
      batchReportStock: async ({ requests = [] }: { requests?: { orderId?: string }[] }) => {
        if (fake.answer === "away") throw new ConnectError("nobody is there", Code.Unavailable);
        told.push(...requests.map(({ orderId = "" }) => orderId));
        const failure = create(FailureSchema, { code: Code.NotFound, reason: "ORDER_NOT_FOUND" });
        const outcome: ReportStockOutcome["outcome"] =
          fake.answer === "taken"
            ? { case: "response", value: create(ReportStockResponseSchema) }
            : { case: "failure", value: failure };
        const outcomes = requests.map(() => create(ReportStockOutcomeSchema, { outcome }));
        return create(BatchReportStockResponseSchema, { outcomes });
      },
    },
  };
  return fake;
}

/** What orders says when it is told. */
export type Telling = "taken" | "refused" | "away";

/** On hand and reserved of every level: `a@main 5/2`. */
export async function levels(database: Database): Promise<string> {
  const rows = await database.query<{ level: string }>(
    "select sku || '@' || location_id || ' ' || on_hand || '/' || reserved as level from stock_level order by sku, location_id",
  );
  return rows.map((row) => row.level).join(", ");
}

/** Every level is the sum of its movements, and what is reserved is what orders have open. */
export async function requireExplained(database: Database): Promise<void> {
  const wrong = await database.query(
    `select * from stock_level as l,
       lateral (select coalesce(sum(on_hand_delta), 0) as on_hand_sum, coalesce(sum(reserved_delta), 0) as reserved_sum
         from stock_movement as m where m.sku = l.sku and m.location_id = l.location_id) as ledger,
       lateral (select coalesce(sum(quantity), 0) as open from allocation as a
         where a.sku = l.sku and a.location_id = l.location_id and status in ('held', 'confirmed')) as orders
     where on_hand <> on_hand_sum or reserved <> reserved_sum or reserved <> open`,
  );
  assert.deepEqual(wrong, []);
  const timeless = await database.query(
    `select order_id from reservation as r where (expire_time is not null)
       <> exists (select from allocation as a where a.order_id = r.order_id and a.status = 'held')`,
  );
  assert.deepEqual(timeless, []);
  await requireQueued(database);
}

/** Who waits by his reservation stands in the queue of each article, in his turn, and nobody else does. */
async function requireQueued(database: Database): Promise<void> {
  const wrong = await database.query(
    `select * from (
        select order_id, (wait->>'place')::bigint as place, line->>0 as sku, (line->>1)::bigint as quantity
        from reservation cross join jsonb_array_elements(wait->'lines') as line where not (wait->>'served')::boolean
      ) w full join back_order_line l using (order_id, place, sku, quantity)
      where w.order_id is null or l.order_id is null`,
  );
  assert.deepEqual(wrong, []);
}

/** `a:2 b:1` are two of a and one of b. */
export function toLines(text: string): Line[] {
  return text.split(" ").map((item) => {
    const [sku = "", quantity = "0"] = item.split(":");
    return { sku, quantity: BigInt(quantity) };
  });
}
