import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import pg from "pg";
import { migrateDown, migrateUp } from "#platform/database/migrate.ts";
import { newId } from "#platform/id.ts";
import type { TestDatabase } from "#testing/postgres.ts";
import { SagaOutbox } from "../src/dispatch/saga-outbox.repository.ts";
import { migrations } from "../src/migrations/list.ts";
import { type OrderFilter, OrderRepository } from "../src/order/order.repository.ts";
import { transitionOrders } from "../src/order/order-transition.repository.ts";
import { ordersDatabase } from "./harness.ts";
import { Recorded } from "./recorded.ts";

const everything: OrderFilter = {
  customerId: undefined,
  status: undefined,
  createdFrom: undefined,
  createdUntil: undefined,
};
const page = { after: newId(), limit: 51 };

describe("the schema of orders", () => {
  let test: TestDatabase;
  let recorded: Recorded;
  before(async () => {
    test = await ordersDatabase();
    recorded = new Recorded(test.database);
  });
  after(() => test[Symbol.asyncDispose]());

  const lists: [string, Partial<OrderFilter>, string][] = [
    ["all orders", {}, "customer_order_pkey"],
    ["a time", { createdFrom: 1, createdUntil: 2 }, "customer_order_pkey"],
    ["a customer", { customerId: newId() }, "customer_order_customer_idx"],
    ["a status", { status: "pending" }, "customer_order_status_idx"],
    ["a customer and a status", { customerId: newId(), status: "pending" }, "customer_order_customer_status_idx"],
    ["a status and a time", { status: "failed", createdFrom: 1, createdUntil: 2 }, "customer_order_status_idx"],
  ];
  for (const [name, filter, index] of lists) {
    it(`has an index in the order of the list by ${name}`, async () => {
      await new OrderRepository(recorded).list({ ...everything, ...filter }, page);
      const plan = await recorded.plans("set local enable_seqscan = off; set local enable_sort = off");
      assert.match(plan, new RegExp(`Index Scan.* using ${index} on customer_order`));
      assert.match(plan, /order_line_pkey/);
      assert.doesNotMatch(plan, /Seq Scan/);
    });
  }

  it("finds and moves orders by their key even with a plan made for an empty table", async () => {
    await new OrderRepository(recorded).find([newId(), newId()]);
    assert.match(await recorded.plans("set local enable_seqscan = on"), /customer_order_pkey/);
    const origin = { actor: "", requestId: "", traceId: "" };
    const move = { to: "confirmed", failure: undefined, shipments: undefined, origin } as const;
    await transitionOrders(recorded, [{ orderId: newId(), ...move }]);
    const plan = await recorded.plans();
    assert.match(plan, /customer_order_pkey/);
    assert.doesNotMatch(plan, /Seq Scan/);
  });

  it("has an index for what the relay looks for", async () => {
    const outbox = new SagaOutbox(recorded);
    await outbox.oldest();
    await outbox.claim({ ageMs: 1, leaseMs: 1, limit: 16 });
    await outbox.find(newId());
    await outbox.acknowledge([newId(), newId()]);
    assert.equal(recorded.statements.length, 4);
    const plans = (await recorded.plans()).split("\n\n");
    for (const plan of plans) {
      assert.match(plan, /customer_order_undispatched_idx/);
      assert.doesNotMatch(plan, /Seq Scan/);
    }
  });

  it("has an index for an e-mail address in any case", async () => {
    await recorded.query("select * from customer where lower(email) = $1 order by customer_id desc", ["a@example.com"]);
    assert.match(await recorded.plans(), /customer_email_key/);
  });

  it("gives the runtime role no more than it needs", async () => {
    const forbidden = [
      "delete from customer",
      "delete from customer_order",
      "update order_line set quantity = 1",
      "delete from order_line",
      "update idempotency_key set method = ''",
      "create table mine (id int)",
    ];
    for (const statement of forbidden)
      await assert.rejects(test.database.query(statement), { code: "42501" }, statement);
  });

  it("refuses a status that there is not, and an order without a card token that the worker does not have", async () => {
    const admin = new pg.Client({ connectionString: test.adminUrl });
    await admin.connect();
    const insert = (status: string, token: string | null) =>
      admin.query(
        `insert into customer_order (order_id, customer_id, given_name, family_name, email, status, currency, total,
          shipping_address, history, create_time, update_time, saga_id, card_token)
        values (gen_random_uuid(), gen_random_uuid(), '', '', '', $1, 'EUR', 1, '{}', '[]', now(), now(),
          gen_random_uuid(), $2)`,
        [status, token],
      );
    await assert.rejects(insert("lost", "tok_a"), { constraint: "customer_order_status_check" });
    await assert.rejects(insert("pending", null), { constraint: "customer_order_card_token_check" });
    await admin.end();
  });

  it("goes down to nothing and up again", async () => {
    const options = { url: test.ownerUrl, migrations };
    assert.deepEqual(await migrateDown(options, migrations[0]?.name), migrations.map(({ name }) => name).toReversed());
    const left = await test.database.query<{ name: string }>(
      "select relname as name from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'S', 'v')",
    );
    assert.deepEqual(
      left.map(({ name }) => name).filter((name) => !name.startsWith("schema_migration")),
      [],
    );
    assert.deepEqual(
      await migrateUp(options),
      migrations.map(({ name }) => name),
    );
    assert.deepEqual(await new OrderRepository(test.database).list(everything, page), []);
  });
});
