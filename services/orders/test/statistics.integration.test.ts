// Counts of orders: they are what a direct query over the tables says when nothing moves, whatever happened in which order, however often
// it was counted, by whom, and where somebody who counted died.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import pg from "pg";
import { OrderShipmentStatus, OrderStatus } from "#gen/shop/orders/v1/order_pb.js";
import { MoneySchema } from "#gen/shop/type/v1/money_pb.js";
import type { Database } from "#platform/database/database.ts";
import type { Transaction } from "#platform/database/transaction.ts";
import { decodeId } from "#platform/id.ts";
import { bareEnvironment } from "#testing/bare-environment.ts";
import type { TestDatabase } from "#testing/postgres.ts";
import { Statistics } from "../src/statistics/statistics.ts";
import { FakeWorker } from "./fake-worker.ts";
import {
  adjustedRequest,
  line,
  newCustomer,
  orderRequest,
  ordersDatabase,
  type Replica,
  refusal,
  startReplica,
  unique,
} from "./harness.ts";

const program = fileURLToPath(new URL("../src/main.ts", import.meta.url));
const budgetMs = 60_000;
const day = 86_400_000;

/** The same as the counts, from the tables, as an analyst would ask. */
const direct = `
  with orders as (
    select *, (create_time at time zone 'utc')::date::text as day,
      (select coalesce(sum((s ->> 'amount')::numeric) filter (where s ->> 'status' in ('shipped', 'delivered', 'lost')), 0)
        from jsonb_array_elements(shipments) s) as captured,
      (select coalesce(sum((s ->> 'amount')::numeric) filter (where s ->> 'status' = 'lost'), 0)
        from jsonb_array_elements(shipments) s)
        + coalesce((select sum(amount) from order_return r where r.order_id = customer_order.order_id and r.status = 'completed'), 0)
        as refunded
    from customer_order
  ), lines as (
    select o.day, o.currency, o.status, o.order_id, l.sku, l.quantity,
      coalesce((o.line_amounts ->> (l.line_number - 1))::numeric, l.quantity * l.unit_price) as ordered
    from orders o join order_line l using (order_id)
  ), all_of_them as (
    select day, '' as sku, currency, status, count(*) as orders,
      sum((select sum(quantity) from lines where lines.order_id = orders.order_id)) as units, sum(total) as ordered,
      sum(captured) as captured, sum(refunded) as refunded
    from orders group by day, currency, status
    union all
    select day, sku, currency, status, count(distinct order_id), sum(quantity), sum(ordered), 0, 0
    from lines group by day, sku, currency, status
  )
  select concat_ws(' ', day, sku, currency, status, orders, units, ordered, captured, refunded) as text from all_of_them
  order by day, sku collate "C", currency, status`;

const counted = `
  select concat_ws(' ', day, sku, currency, status, orders, units, ordered, captured, refunded) as text from order_statistics
  where generation = (select generation from order_statistics_state) order by day, sku, currency, status`;

/** Numbers that are the same each time. */
function numbersFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

describe("the counts of orders", () => {
  let test: TestDatabase;
  let replica: Replica;
  let customerId: string;
  before(async () => {
    test = await ordersDatabase();
    replica = await startReplica(test.database, new FakeWorker());
    customerId = await newCustomer(replica);
  });
  after(async () => {
    await replica?.stop();
    await test?.[Symbol.asyncDispose]();
  });

  const textOf = async (sql: string) => (await test.database.query<{ text: string }>(sql)).map((row) => row.text);
  const same = async (when: string) => assert.deepEqual(await textOf(counted), await textOf(direct), when);
  const statistics = () => new Statistics(test.database);
  const refresh = () => statistics().refresh(budgetMs);

  async function place(changes: Parameters<typeof orderRequest>[1] = {}): Promise<string> {
    const { order } = await replica.orders.createOrder(orderRequest(customerId, changes));
    return order?.orderId ?? "";
  }

  /** Sends an order somewhere, with one parcel. */
  async function move(orderId: string, status: OrderStatus, parcel?: OrderShipmentStatus, amount = 4_700n) {
    const shipmentId = orderId;
    const shipments =
      parcel === undefined
        ? []
        : [{ locationId: "BER", shipmentId, status: parcel, amount: create(MoneySchema, { currency: "EUR", amount }) }];
    await replica.lifecycle.batchTransitionOrders({ requests: [{ orderId, status, shipments }] });
  }

  async function asAdmin(sql: string, values: unknown[] = []): Promise<void> {
    const client = new pg.Client({ connectionString: test.adminUrl });
    await client.connect();
    await client.query(sql, values);
    await client.end();
  }

  /** Somebody who dies when he is about to commit, or to run a statement of that name. */
  function dying(when: string): Statistics {
    const transaction: Database["transaction"] = (work) =>
      test.database.transaction(async (tx) => {
        const query: Transaction["query"] = (sql, values) => {
          if (typeof sql !== "string" && sql.name === when) throw new Error("died");
          return tx.query(sql, values);
        };
        const result = await work({ query, commitWith: (sql, values) => tx.commitWith(sql, values) });
        if (when === "commit") throw new Error("died");
        return result;
      });
    return new Statistics({ query: (sql, values) => test.database.query(sql, values), transaction });
  }

  it("follow an order from its creation to its end, with what it costs and what of that is charged and given back", async () => {
    const { order } = await replica.orders.createOrder(adjustedRequest(customerId));
    const orderId = order?.orderId ?? "";
    const today = new Date().toISOString().slice(0, 10);
    const { trueUntil } = await refresh();
    assert.ok(trueUntil && Math.abs(trueUntil.getTime() - Date.now()) < 10_000);
    assert.deepEqual(await textOf(counted), [
      `${today}  EUR pending 1 3 4935 0 0`,
      `${today} ESPRESSO-1KG EUR pending 1 2 3644 0 0`,
      `${today} FILTER-100 EUR pending 1 1 1291 0 0`,
    ]);
    await move(orderId, OrderStatus.CONFIRMED, OrderShipmentStatus.PLANNED);
    await move(orderId, OrderStatus.PREPARING);
    await move(orderId, OrderStatus.SHIPPED, OrderShipmentStatus.SHIPPED, 4_935n);
    await refresh();
    assert.equal((await textOf(counted))[0], `${today}  EUR shipped 1 3 4935 4935 0`);
    await move(orderId, OrderStatus.FAILED, OrderShipmentStatus.LOST, 4_935n);
    await refresh();
    assert.equal((await textOf(counted))[0], `${today}  EUR failed 1 3 4935 4935 4935`);
    assert.equal((await textOf(counted)).length, 3, "nothing is left where it was before");
  });

  it("are what the tables say after random lives of orders, counted now and then by many, of whom some die", async () => {
    const number = numbersFrom(20_261_201);
    const skus = ["TEA", "CUP", "ESPRESSO-1KG", "FILTER-100"];
    const next: Partial<Record<OrderStatus, readonly [OrderStatus, OrderShipmentStatus | undefined][]>> = {
      [OrderStatus.PENDING]: [
        [OrderStatus.CONFIRMED, OrderShipmentStatus.PLANNED],
        [OrderStatus.REJECTED, undefined],
        [OrderStatus.CANCELLED, undefined],
      ],
      [OrderStatus.CONFIRMED]: [
        [OrderStatus.PREPARING, OrderShipmentStatus.PLANNED],
        [OrderStatus.CANCELLED, OrderShipmentStatus.CANCELLED],
      ],
      [OrderStatus.PREPARING]: [[OrderStatus.SHIPPED, OrderShipmentStatus.SHIPPED]],
      [OrderStatus.SHIPPED]: [
        [OrderStatus.DELIVERED, OrderShipmentStatus.DELIVERED],
        [OrderStatus.FAILED, OrderShipmentStatus.LOST],
      ],
    };
    const lives: { orderId: string; status: OrderStatus }[] = [];
    const deleted: typeof lives = [];
    const deaths = ["commit", "statistics_events", "statistics_count", "statistics_empty", "statistics_move"];
    for (let turn = 0; turn < 250; turn++) {
      const dice = number(10);
      const life = lives[number(Math.max(1, lives.length))];
      if (dice < 3 || !life) {
        const currency = ["EUR", "USD", "JPY"][number(3)];
        const lines = Array.from({ length: 1 + number(4) }, () =>
          line(skus[number(skus.length)] ?? "", 1 + number(5), BigInt(number(5_000)), currency),
        );
        lives.push({ orderId: await place({ lines }), status: OrderStatus.PENDING });
      } else if (dice < 7) {
        const [to, parcel] = next[life.status]?.[number(next[life.status]?.length ?? 0)] ?? [];
        if (to === undefined) continue;
        await move(life.orderId, to, parcel, BigInt(number(10_000)));
        life.status = to;
      } else if (dice === 7) {
        if (life.status !== OrderStatus.REJECTED) continue;
        await asAdmin("delete from order_event where order_id = $1", [decodeId(life.orderId)]);
        await asAdmin("update customer_order set episode_id = null, episode_events = null where order_id = $1", [
          decodeId(life.orderId),
        ]);
        await replica.orders.deleteOrder({ requestId: unique("delete"), orderId: life.orderId });
        deleted.push(...lives.splice(lives.indexOf(life), 1));
      } else if (dice === 8) {
        // Where there is nothing to count he has no occasion to die.
        const refreshed = dying(deaths[number(deaths.length)] ?? "").refresh(budgetMs);
        await refreshed.catch((error: unknown) => assert.match(String(error), /died/));
      } else await Promise.all(Array.from({ length: 1 + number(3) }, refresh));
    }
    await refresh();
    await same("after all");
    // Once more changes nothing, and neither does counting from the very beginning.
    await refresh();
    await same("once more");
    await asAdmin("update order_statistics_state set transaction = '0'");
    await refresh();
    await same("from the beginning");
    await statistics().rebuild();
    await same("anew");
    assert.ok((await textOf(counted)).length > 30);
    assert.ok(deleted.length > 0, "none was deleted");
  });

  it("has what was paid back for what came back, and not what may be", async () => {
    const orderId = decodeId(await place());
    const parcel = [{ locationId: "BER", shipmentId: "", status: "delivered", currency: "EUR", amount: "4700" }];
    await asAdmin("update customer_order set status = 'delivered', shipments = $2 where order_id = $1", [
      orderId,
      JSON.stringify(parcel),
    ]);
    for (const [status, amount] of [
      ["completed", 1_850],
      ["received", 1_000],
      ["rejected", 500],
    ] as const) {
      await asAdmin(
        `insert into order_return (order_id, return_id, customer_id, status, kind, reason, currency, amount)
        values ($1, gen_random_uuid(), gen_random_uuid(), $2, 'return', 'damaged', 'EUR', $3)`,
        [orderId, status, amount],
      );
    }
    await refresh();
    await same("with returns");
    const fact = "select concat_ws(' ', captured, refunded) as text from order_statistics_fact where order_id = ";
    assert.deepEqual(await textOf(`${fact}'${orderId}'`), ["4700 1850"]);
  });

  it("has what a slow transaction did when it commits, though others that began later were counted long before", async () => {
    const orderId = await place();
    await refresh();
    const slow = new pg.Client({ connectionString: test.url });
    await slow.connect();
    await slow.query("begin");
    await slow.query(
      `insert into audit_event (event_id, action, order_id, subject, details, actor, request_id)
      values (gen_random_uuid(), 'order.rejected', $1, '', '{}', 'service:worker', '')`,
      [decodeId(orderId)],
    );
    await slow.query("update customer_order set status = 'rejected' where order_id = $1", [decodeId(orderId)]);
    await place();
    const { trueUntil: first } = await refresh();
    await same("without the slow one");
    await place();
    await slow.query("commit");
    await slow.end();
    const { trueUntil: second } = await refresh();
    await same("with the slow one");
    assert.ok(first && second && second > first);
  });

  it("are counted anew though somebody has spoilt them, while orders go on and others count", async () => {
    await refresh();
    await asAdmin("update order_statistics set orders = orders + 1, ordered = 0");
    await asAdmin(
      "delete from order_statistics_fact where order_id in (select order_id from order_statistics_fact limit 2)",
    );
    assert.notDeepEqual(await textOf(counted), await textOf(direct));
    let done = false;
    const others = (async () => {
      while (!done) {
        await move(await place(), OrderStatus.CONFIRMED);
        await refresh();
      }
    })();
    await statistics().rebuild();
    done = true;
    await others;
    await refresh();
    await same("anew");
    const [left] = await test.database.query<{ generations: bigint }>(
      "select count(distinct generation) as generations from order_statistics_fact",
    );
    assert.equal(left?.generations, 1n);
  });

  it("stay as they are when counting anew is cut off, and what is left of that goes with the next time", async () => {
    await refresh();
    await assert.rejects(dying("statistics_empty").rebuild(), /died/);
    await same("after it was cut off");
    await statistics().rebuild();
    await same("after the next time");
  });

  it("are counted anew by whoever began last", async () => {
    const first = new Statistics({
      query: (sql, values) => test.database.query(sql, values),
      transaction: async (work) => {
        const result = await test.database.transaction(work);
        if (!begun) {
          begun = true;
          await statistics().rebuild();
        }
        return result;
      },
    });
    let begun = false;
    await assert.rejects(first.rebuild(), /somebody else has begun/);
    await refresh();
    await same("by the second");
  });

  it("begin anew when the database has come from another server, whose numbers are ahead", async () => {
    await asAdmin("update order_statistics_state set transaction = '9223372036854775807'");
    await place();
    await refresh();
    await same("on the new server");
  });

  it("are counted anew by a command of the program", async () => {
    await place();
    const env = { ...bareEnvironment, DATABASE_URL: test.url };
    const command = async (...args: string[]) => {
      const child = spawn(process.execPath, [program, "statistics", ...args], { env, timeout: 60_000 });
      const closed = new Promise<number | null>((resolve) => child.once("close", resolve));
      const [said, complained] = await Promise.all([text(child.stdout), text(child.stderr)]);
      return { code: await closed, said, complained };
    };
    const [orders] = await test.database.query<{ count: bigint }>("select count(*) from customer_order");
    const rebuilt = await command("rebuild");
    assert.equal(rebuilt.code, 0, rebuilt.complained);
    assert.match(rebuilt.said, new RegExp(`^orders counted anew: ${orders?.count}\ntrue until 20.*Z\n$`));
    await same("by the command");
    await place();
    assert.match((await command("refresh")).said, /^true until/);
    await same("by the other command");
    assert.match((await command("forget")).complained, /say statistics rebuild, or statistics refresh/);
  });

  it("are read by day, currency, status and article, a page at a time, with the time up to which they are true", async () => {
    await refresh();
    const range = {
      createTimeFrom: timestampFromDate(new Date()),
      createTimeUntil: timestampFromDate(new Date(Date.now() + 1_000)),
    };
    const read = async (changes: object) => {
      const found = [];
      for (let pageToken = ""; ; ) {
        const page = await replica.statistics.getOrderStatistics({ ...range, ...changes, pageSize: 3, pageToken });
        assert.ok(page.trueUntilTime);
        found.push(...page.statistics);
        if (page.nextPageToken === "") return found;
        pageToken = page.nextPageToken;
      }
    };
    const rows = (await textOf(counted)).map((row) => row.split(" "));
    const whole = await read({});
    assert.equal(whole.length, rows.filter(([, sku]) => sku === "").length);
    assert.equal(
      whole.reduce((sum, { ordered }) => sum + (ordered?.amount ?? 0n), 0n),
      rows.reduce((sum, [, sku, , , , , ordered]) => sum + (sku === "" ? BigInt(ordered ?? 0) : 0n), 0n),
    );
    assert.equal((await read({ byArticle: true })).length, rows.filter(([, sku]) => sku !== "").length);
    const tea = await read({ sku: "TEA", currency: "EUR", status: OrderStatus.DELIVERED });
    assert.equal(tea.length, rows.filter(([, ...row]) => row.slice(0, 3).join() === "TEA,EUR,delivered").length);
    for (const { captured, sku } of tea) assert.deepEqual([captured, sku], [undefined, "TEA"]);
    const before = timestampFromDate(new Date(Date.now() - 2 * day));
    const { statistics: none } = await replica.statistics
      .getOrderStatistics({ ...range, createTimeFrom: before, createTimeUntil: before })
      .catch(() => ({ statistics: [] }));
    assert.deepEqual(none, []);
    const far = timestampFromDate(new Date(Date.now() + 400 * day));
    const { code, message } = await refusal(replica.statistics.getOrderStatistics({ ...range, createTimeUntil: far }));
    assert.equal(code, Code.InvalidArgument);
    assert.match(message, /at most 366 days/);
  });
});
