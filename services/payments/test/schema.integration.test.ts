import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { migrateDown, migrateUp } from "#platform/database/migrate.ts";
import { sqlStateOf } from "#platform/database/sql-state.ts";
import { newId } from "#platform/id.ts";
import { type DisputeFilter, listDisputes } from "../src/dispute/dispute-statements.ts";
import * as eventStatements from "../src/gateway-event/gateway-event-statements.ts";
import { migrations } from "../src/migrations/list.ts";
import * as statements from "../src/operation/operation-statements.ts";
import { LedgerEntryEntity, PaymentEntity } from "../src/payment/payment.entity.ts";
import { listQuery, type PaymentFilter } from "../src/payment/payment.repository.ts";
import { statusOf } from "../src/payment/payment.ts";
import { type PaymentRow, paymentColumns, toPayment } from "../src/payment/payment-row.ts";
import * as requestStatements from "../src/refund/refund-request-statements.ts";
import { authorization, change, type Harness, openHarness } from "./harness.ts";

let harness: Harness;

before(async () => {
  harness = await openHarness();
});
after(() => harness[Symbol.asyncDispose]());

test("the database computes the status by the rule of the domain, and refuses impossible amounts", async () => {
  const insert = (columns: string, values: string) =>
    harness.admin(`insert into payment (payment_id, card_token, currency, ${columns})
      values (gen_random_uuid(), 'tok_approve', 'EUR', ${values})`);
  const known = "order_id, customer_id, amount, decision, captured, voided, refunded";
  const ids = "gen_random_uuid(), gen_random_uuid()";
  const amounts = [
    "10, 0, 0, 0",
    "10, 4, 0, 0",
    "10, 4, 6, 0",
    "10, 4, 6, 3",
    "10, 4, 6, 4",
    "10, 0, 10, 0",
    "10, 4, 0, 4",
  ];
  for (const [amount, ...rest] of amounts.map((text) => text.split(", "))) {
    await insert(known, `${ids}, ${amount}, 'approved', ${rest.join(", ")}`);
  }
  for (const decision of ["undecided", "declined"]) await insert(known, `${ids}, 10, '${decision}', 0, 0, 0`);
  await insert("amount, decision", "0, 'forestalled'");
  const rows = await harness.database.query<PaymentRow & { status: string }>(
    `select ${paymentColumns}, p.status from payment p`,
  );
  assert.equal(rows.length, amounts.length + 3);
  for (const row of rows) assert.equal(row.status, statusOf(toPayment(row)));
  const impossible = [
    "10, 'approved', 6, 5, 0",
    "10, 'approved', 6, 0, 7",
    "10, 'undecided', 1, 0, 0",
    "0, 'approved', 0, 0, 0",
  ];
  for (const values of impossible) {
    const failed = insert(known, `${ids}, ${values}`);
    await assert.rejects(failed, (error) => sqlStateOf(error) === "23514", values);
  }
});

test("the runtime role can neither change the ledger nor what identifies a payment", async () => {
  const forbidden = [
    "update ledger_entry set amount = 1",
    "delete from ledger_entry",
    "truncate ledger_entry",
    "delete from payment",
    "delete from payment_operation",
    "update payment set amount = 1",
    "update payment set order_id = gen_random_uuid()",
    "update payment set source_id = gen_random_uuid()",
    "update payment_operation set kind = 'refund'",
    "update payment_operation set alone = false",
    "update refund_request set requester = 'somebody'",
    "update refund_request set amount = 1",
    "update refund_request set expire_time = now()",
    "delete from refund_request",
    "delete from gateway_event",
    "update gateway_event set kind = 'disputed'",
    "delete from payment_dispute",
    "update payment_dispute set dispute_id = 'another'",
    "update idempotency_key set response = ''",
    "create table more ()",
    "drop table payment",
  ];
  for (const sql of forbidden) {
    await assert.rejects(harness.database.query(sql), (error) => sqlStateOf(error) === "42501", sql);
  }
});

test("the database takes no decision by whoever asked, and none without a time or a decider", async () => {
  const insert = (state: string, decider: string, time: string) =>
    harness.admin(
      `insert into refund_request (refund_request_id, payment_id, currency, amount, reason, state, requester, decider, actor, request_id,
        traceparent, create_time, expire_time, decide_time)
      values (gen_random_uuid(), gen_random_uuid(), 'EUR', 1, '', '${state}', 'ada', '${decider}', '', '', '', now(), now(), ${time})`,
    );
  const impossible: [string, string, string][] = [
    ["approved", "ada", "now()"],
    ["rejected", "ada", "now()"],
    ["approved", "", "now()"],
    ["expired", "bob", "now()"],
    ["waiting", "bob", "null"],
    ["waiting", "", "now()"],
    ["approved", "bob", "null"],
  ];
  for (const row of impossible) {
    await assert.rejects(insert(...row), (error) => sqlStateOf(error) === "23514", row.join(" "));
  }
  const possible: [string, string, string][] = [
    ["waiting", "", "null"],
    ["approved", "bob", "now()"],
    ["rejected", "bob", "now()"],
    ["expired", "", "now()"],
  ];
  for (const row of possible) await insert(...row);
});

test("the entities fit the tables", async () => {
  const mover = harness.mover();
  const { payment } = await mover.authorize(authorization());
  await mover.change(change("capture", payment.paymentId, { amount: 1n }));
  const em = harness.database.em();
  assert.ok(await em.findOne(PaymentEntity, { status: "authorized" }));
  assert.ok(await em.findOne(LedgerEntryEntity, { kind: "capture" }));
});

test("every list goes by an index, and a page begins where the one before ended", async () => {
  await harness.admin(`insert into payment (payment_id, order_id, customer_id, card_token, currency, amount, decision,
      captured, create_time)
    select gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'tok_approve', 'EUR', 10, 'approved', i % 11,
      now() - i * interval '1 second' from generate_series(1, 5000) as i`);
  await harness.admin("analyze payment");
  const after = { createTime: new Date(), paymentId: newId() };
  const cases: [PaymentFilter, index: string, condition: RegExp][] = [
    [{}, "payment_create_time_idx", /Index Cond: \(ROW\(create_time, payment_id\) </],
    [{ orderId: newId() }, "payment_order_idx", /Index Cond: \(\(order_id = .*ROW\(create_time, payment_id\) </],
    [
      { customerId: newId() },
      "payment_customer_idx",
      /Index Cond: \(\(customer_id = .*ROW\(create_time, payment_id\) </,
    ],
    [{ customerId: newId(), status: "captured" }, "payment_customer_idx", /Index Cond: \(\(customer_id = /],
    [{ orderId: newId(), status: "captured" }, "payment_order_idx", /Index Cond: \(\(order_id = /],
    [{ status: "captured" }, "payment_status_idx", /Index Cond: \(\(status = .*ROW\(create_time, payment_id\) </],
  ];
  for (const [filter, index, condition] of cases) {
    const sql = listQuery(harness.database.em(), filter, { limit: 51, after }).getFormattedQuery();
    const plan = await explain(sql);
    assert.match(plan, new RegExp(`Index Scan Backward using ${index}`));
    assert.match(plan, condition);
    assert.doesNotMatch(plan, /Sort/);
  }
  await harness.admin(`insert into ledger_entry (payment_id, operation_id, kind, debit_account, credit_account, currency, amount)
    select payment_id, gen_random_uuid(), 'capture', 'gateway_clearing', 'sales', 'EUR', 1 from payment`);
  await harness.admin("analyze ledger_entry");
  const entries =
    await explain(`select * from ledger_entry where payment_id = '${crypto.randomUUID()}' and entry_id < 4000
    order by entry_id desc limit 51`);
  assert.match(entries, /ledger_entry_payment_idx/);
});

test("every list of disputes goes by an index, those first that have to be answered first", async () => {
  await harness.admin(`insert into payment_dispute (payment_id, dispute_id, state, reason, currency, amount, respond_by_time)
    select gen_random_uuid(), 'dp_' || i, (array['open', 'won', 'lost'])[1 + i % 3], 'fraudulent', 'EUR', 1,
      case when i % 2 = 0 then now() + i * interval '1 minute' end from generate_series(1, 5000) as i`);
  await harness.admin("analyze payment_dispute");
  const after = { respondByTime: new Date(), paymentId: crypto.randomUUID(), disputeId: "dp_1" };
  const cases: [filter: DisputeFilter, index: string][] = [
    [{}, "payment_dispute_due_idx"],
    [{ after }, "payment_dispute_due_idx"],
    [{ dueFrom: new Date(), dueUntil: new Date() }, "payment_dispute_due_idx"],
    [{ state: "open" }, "payment_dispute_state_idx"],
    [{ state: "open", dueFrom: new Date(), after }, "payment_dispute_state_idx"],
    [{ paymentId: crypto.randomUUID() }, "payment_dispute_pkey"],
    [{ orderId: crypto.randomUUID(), state: "open", after }, "payment_dispute_pkey"],
  ];
  for (const [filter, index] of cases) {
    const [{ text }, values] = listDisputes(filter, 51);
    const rows = await harness.database.query<{ "QUERY PLAN": string }>(`explain ${text}`, values);
    const plan = rows.map((row) => row["QUERY PLAN"]).join("\n");
    assert.match(
      plan,
      new RegExp(`Index Scan using ${index} on payment_dispute d|Bitmap Index Scan on ${index}`),
      plan,
    );
    assert.doesNotMatch(plan, /Seq Scan/);
    if (!index.endsWith("pkey")) assert.doesNotMatch(plan, /Sort/);
  }
});

test("no statement of the hot paths reads a table from end to end, planned without statistics", async () => {
  const client = await harness.database.pool.connect();
  try {
    await client.query("set plan_cache_mode = force_generic_plan");
    const after = { createTime: new Date(), refundRequestId: "" };
    const lists = [
      {},
      { paymentId: "P" },
      { state: "waiting" as const },
      { paymentId: "P", state: "waiting" as const, after },
    ];
    const of = { paymentId: "P", orderId: "O", state: "open" } as const;
    const place = { respondByTime: new Date(), paymentId: "P", disputeId: "D" };
    const disputes = [{ ...of, dueFrom: new Date(), dueUntil: new Date(), after: place }, { state: of.state }, {}];
    const all = [
      ...Object.values(statements),
      ...Object.values(eventStatements),
      ...Object.values(requestStatements).filter((statement) => typeof statement !== "function"),
      ...lists.map((filter) => requestStatements.listRefundRequests(filter, 1)[0]),
      ...disputes.map((filter) => listDisputes(filter, 1)[0]),
    ];
    for (const { name, text } of all) {
      const parameters = new Set(text.match(/\$\d+/g) ?? []).size;
      await client.query(`prepare plan_${name} as ${text}`);
      const values = parameters > 0 ? `(${Array(parameters).fill("null").join(", ")})` : "";
      const { rows } = await client.query(`explain execute plan_${name}${values}`);
      const plan = rows.map((row) => row["QUERY PLAN"]).join("\n");
      assert.doesNotMatch(plan, /Seq Scan on (payment|ledger|idempotency|refund|gateway_event\b)/, `${name}\n${plan}`);
    }
  } finally {
    client.release(true);
  }
});

async function explain(sql: string): Promise<string> {
  const rows = await harness.database.query<{ "QUERY PLAN": string }>(`explain ${sql}`);
  return rows.map((row) => row["QUERY PLAN"]).join("\n");
}

test("the migrations go down and up again", async () => {
  const { ownerUrl: url } = harness.test;
  const tables = () =>
    harness.admin(`select table_schema, table_name from information_schema.tables
      where table_schema in ('public', 'simulator') and table_name <> 'schema_migration' order by 1, 2`);
  const full = await tables();
  assert.equal(full.length, 14);
  await migrateDown({ url, migrations });
  await migrateDown({ url, migrations });
  await migrateDown({ url, migrations });
  assert.equal((await tables()).length, 14);
  await migrateDown({ url, migrations });
  assert.equal((await tables()).length, 13);
  await migrateDown({ url, migrations });
  await migrateDown({ url, migrations });
  assert.equal((await tables()).length, 12);
  await migrateDown({ url, migrations });
  assert.equal((await tables()).length, 10);
  await migrateDown({ url, migrations });
  assert.equal((await tables()).length, 11);
  await migrateDown({ url, migrations });
  await migrateDown({ url, migrations });
  await migrateDown({ url, migrations });
  assert.equal((await tables()).length, 11);
  await migrateDown({ url, migrations });
  assert.equal((await tables()).length, 10);
  await migrateDown({ url, migrations });
  assert.equal((await tables()).length, 10);
  await migrateDown({ url, migrations });
  await migrateDown({ url, migrations });
  assert.equal((await tables()).length, 8);
  await migrateDown({ url, migrations });
  assert.equal((await tables()).length, 7);
  await migrateDown({ url, migrations });
  assert.equal((await tables()).length, 5);
  await migrateDown({ url, migrations });
  assert.equal((await tables()).length, 4);
  await migrateDown({ url, migrations });
  assert.deepEqual(await tables(), []);
  await migrateUp({ url, migrations });
  assert.deepEqual(await tables(), full);
});
