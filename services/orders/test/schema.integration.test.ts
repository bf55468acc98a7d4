import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import pg from "pg";
import { Registry } from "prom-client";
import type { Database } from "#platform/database/database.ts";
import { migrateDown, migrateUp } from "#platform/database/migrate.ts";
import { decodeId, newId } from "#platform/id.ts";
import { quietLogger } from "#testing/logger.ts";
import type { TestDatabase } from "#testing/postgres.ts";
import { CancellationRepository } from "../src/cancel/cancellation.repository.ts";
import { RetentionRepository } from "../src/customer/retention.repository.ts";
import { Admission } from "../src/episode/admission.ts";
import { createBackOrderWatch } from "../src/episode/back-order-watch.ts";
import { EpisodeRepository } from "../src/episode/episode.repository.ts";
import { createEpisodeWatch } from "../src/episode/episode-watch.ts";
import { ParkedOrders } from "../src/episode/parked-orders.repository.ts";
import { settleOrders } from "../src/episode/settlement.repository.ts";
import { ShipmentReports } from "../src/episode/shipment-reports.ts";
import { StepDecisions } from "../src/episode/step-decisions.ts";
import { StockReports } from "../src/episode/stock-reports.ts";
import { SagaOutbox } from "../src/legacy/saga-outbox.repository.ts";
import { migrations } from "../src/migrations/list.ts";
import { createOrderMetrics } from "../src/order/metrics.ts";
import { type OrderFilter, OrderRepository } from "../src/order/order.repository.ts";
import { OrderNotes } from "../src/order/order-notes.ts";
import { createProgressWatch } from "../src/order/order-progress.ts";
import { transitionOrders } from "../src/order/order-transition.repository.ts";
import { listStatement as listOfReturns, type ReturnFilter } from "../src/returns/order-return.repository.ts";
import { ReviewsRepository } from "../src/screening/reviews.repository.ts";
import { ScreeningRepository } from "../src/screening/screening.repository.ts";
import { lowestPlace, StatisticsRepository } from "../src/statistics/statistics.repository.ts";
import { claim, giveBack } from "./episode-rows.ts";
import { ordersDatabase, personal } from "./harness.ts";
import { Recorded } from "./recorded.ts";

const everything: OrderFilter = {
  customerId: undefined,
  status: undefined,
  createdFrom: undefined,
  createdUntil: undefined,
};
const page = { after: newId(), limit: 51 };
/** A settlement that leaves an order where it is. */
const resting = {
  to: undefined,
  failure: undefined,
  shipments: undefined,
  saga: "{}",
  cancellable: true,
  needsCard: true,
  retryAfterMs: undefined,
  waitsFor: "",
  amended: 0,
  cancellationHeard: undefined,
  parked: undefined,
  awaitsStock: false,
  origin: { actor: "", requestId: "", traceId: "" },
} as const;

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
      const plan = await recorded.plans("set local enable_sort = off");
      assert.match(plan, new RegExp(`Index Scan.* using ${index} on customer_order`));
      assert.match(plan, /order_line_pkey/);
      assert.doesNotMatch(plan, /Seq Scan/);
    });
  }

  const returnLists: [string, Partial<ReturnFilter>, string][] = [
    ["all returns", {}, "order_return_id_idx"],
    ["an order", { orderId: newId() }, "order_return_pkey"],
    ["a customer", { customerId: newId() }, "order_return_customer_idx"],
    ["a status", { status: "received" }, "order_return_status_idx"],
    ["a label", { labelState: "refused" }, "order_return_label_idx"],
  ];
  for (const [name, filter, index] of returnLists) {
    it(`has an index in the order of the list of returns by ${name}`, async () => {
      const { statement, values } = listOfReturns(
        { orderId: undefined, customerId: undefined, status: undefined, labelState: undefined, ...filter },
        page,
      );
      await recorded.query(statement, values);
      const plan = await recorded.plans("set local enable_sort = off");
      assert.match(plan, new RegExp(`Index Scan.* using ${index} on order_return`));
      for (const other of ["order_return_line_pkey", "order_return_text_pkey", "customer_order_pkey"])
        assert.match(plan, new RegExp(other));
      assert.doesNotMatch(plan, /Seq Scan/);
    });
  }

  it("finds and moves orders by their key even with a plan made for an empty table", async () => {
    await new OrderRepository(recorded).find([newId(), newId()]);
    assert.match(await recorded.plans(), /customer_order_pkey/);
    const origin = { actor: "", requestId: "", traceId: "" };
    const move = { to: "confirmed", failure: undefined, shipments: undefined, origin } as const;
    await transitionOrders(recorded, [{ orderId: newId(), ...move }]);
    const plan = await recorded.plans();
    assert.match(plan, /customer_order_pkey/);
    assert.doesNotMatch(plan, /Seq Scan/);
  });

  it("compares no entry of a batch with each of the others", async () => {
    const origin = { actor: "", requestId: "", traceId: "" };
    const move = { orderId: newId(), to: "confirmed", failure: undefined, shipments: undefined, origin } as const;
    await transitionOrders(recorded, [move]);
    await settleOrders(recorded, [{ ...resting, orderId: newId(), episodeId: newId() }]);
    await new StatisticsRepository(recorded).count(1, [lowestPlace.eventId]);
    const plans = await recorded.plans();
    for (const written of [/Update on customer_order/, /Insert on order_event/, /Insert on order_statistics_fact/]) {
      assert.match(plans, written);
    }
    // Other joins than nested loops are off.
    assert.doesNotMatch(plans, /Join Filter: .*\b(n|order_id) = \S+\.\1\b/);
  });

  it("has an index for what the relay of the version before looks for", async () => {
    const outbox = new SagaOutbox(recorded);
    await outbox.claim({ ageMs: 1, leaseMs: 1, limit: 16 });
    await outbox.find(newId());
    await outbox.acknowledge([newId(), newId()]);
    assert.equal(recorded.statements.length, 3);
    const plans = (await recorded.plans()).split("\n\n");
    for (const plan of plans) {
      assert.match(plan, /customer_order_undispatched_idx/);
      assert.doesNotMatch(plan, /Seq Scan/);
    }
  });

  const episodes = () => new EpisodeRepository(recorded);
  const nobody = () => undefined;
  const statements: [string, () => Promise<unknown>, RegExp[]][] = [
    [
      "prompt claims",
      () => claim(episodes(), 64),
      [/order_event_prompt_idx/, /order_event_pkey/, /customer_order_pkey/],
    ],
    [
      "relaxed claims",
      () => claim(episodes(), 64, "relaxed"),
      [/order_event_due_idx/, /order_event_pkey/, /customer_order_pkey/],
    ],
    [
      "repeats of starts",
      () => episodes().repeat({ leaseMs: 1, limit: 16 }),
      [/episode_unacknowledged_idx/, /customer_order_pkey/],
    ],
    ["acknowledgements", () => episodes().acknowledge(newId()), [/episode_pkey/]],
    ["what is settled", () => episodes().forgetSettled(1), [/episode_start_time_idx/, /customer_order_pkey/]],
    ["what is carried", () => episodes().carrying(1, 64).next(), [/episode_start_time_idx/, /customer_order_pkey/]],
    ["what is given back", () => giveBack(recorded, newId()), [/episode_pkey/, /customer_order_pkey/]],
    [
      "what is taken apart",
      () => episodes().takeApart({ episodeId: newId(), orders: [] }),
      [/episode_pkey/, /customer_order_pkey/],
    ],
    ["what an order remembers", () => episodes().memory(newId()), [/customer_order_pkey/]],
    [
      "settlements",
      () => settleOrders(recorded, [{ ...resting, orderId: newId(), episodeId: newId() }]),
      [/customer_order_pkey/, /order_event_pkey/],
    ],
    [
      "reports",
      async () => {
        const report = { orderId: newId(), locationId: "BER", news: "PACKED", trackingNumber: "", reason: "" };
        const reports = new ShipmentReports({ database: recorded, onAccepted: nobody });
        await assert.rejects(reports.report(report, new AbortController().signal));
      },
      [/customer_order_pkey/],
    ],
    [
      "reports of stock",
      async () => {
        const reports = new StockReports({ database: recorded, onAccepted: nobody });
        await assert.rejects(reports.report(newId(), new AbortController().signal));
      },
      [/customer_order_pkey/],
    ],
    [
      "back-orders",
      async () => {
        const given = { registry: new Registry(), logger: quietLogger(), maxMs: 1, everyMs: 1_000, onAccepted: nobody };
        const watch = createBackOrderWatch({ database: recorded, ...given });
        watch.start();
        await watch.stop();
      },
      [/customer_order_back_order_idx/],
    ],
    [
      "cancellations",
      async () => {
        const withdrawn = new CancellationRepository(recorded);
        await assert.rejects(withdrawn.accept(await withdrawn.wish({ orderId: newId(), reason: "no" })));
      },
      [/customer_order_pkey/],
    ],
    [
      "parked orders",
      async () => {
        const filter = { step: "void", reason: "A", customerId: newId(), olderThanMs: 1, parkedBefore: new Date() };
        const parked = new ParkedOrders(recorded);
        await parked.list(filter, { after: { parkTime: new Date(), orderId: newId() }, limit: 51 });
        await parked.begin({ requestId: "many", fingerprint: Buffer.alloc(32), filter });
      },
      [/customer_order_parked_idx/],
    ],
    [
      "decisions about parked steps",
      async () => {
        const request = { requestId: "one", fingerprint: Buffer.alloc(32), step: "void", note: "" };
        const decisions = new StepDecisions({
          database: recorded,
          notes: new OrderNotes(recorded, personal),
          onAccepted: nobody,
        });
        const decided = { ...request, orderId: newId(), decision: "retry" } as const;
        await assert.rejects(decisions.decide(decided, new AbortController().signal));
      },
      [/customer_order_pkey/],
    ],
    [
      "screening",
      async () => {
        const screening = new ScreeningRepository(recorded);
        const orderId = newId();
        await screening.find([orderId]);
        const often = { minutes: 60, review: 3 };
        const rules = { customer_orders: often, card_orders: often, address_orders: often, card_customers: often };
        await screening.count([{ orderId, rules }]);
        const finding = { verdict: "review", reasons: ["AMOUNT"], hits: [] } as const;
        await screening.record([{ orderId, finding, origin: { actor: "", requestId: "", traceId: "" } }]);
      },
      [
        /customer_order_pkey/,
        /order_screening_pkey/,
        /order_screening_customer_idx/,
        /order_screening_card_idx/,
        /order_screening_address_idx/,
      ],
    ],
    [
      "reviews",
      async () => {
        const reviews = new ReviewsRepository(recorded);
        await reviews.list({ reason: "AMOUNT", customerId: newId() }, { after: undefined, limit: 51 });
        await reviews.waiting();
        await reviews.late(1, 100);
      },
      [/customer_order_review_idx/],
    ],
    [
      "what is forgotten by a schedule",
      async () => {
        const query: Database["query"] = (sql, values) => recorded.query(sql, values);
        const transaction: Database["transaction"] = (work) => work({ query, commitWith: query });
        const retention = new RetentionRepository({ query, transaction }, { eraseWithin: async () => false });
        await retention.forgetOrders({ days: 1, limit: 100, dryRun: false });
        await retention.dueOrders(1);
      },
      [/customer_order_kept_idx/],
    ],
    [
      "what is counted of orders",
      async () => {
        const statistics = new StatisticsRepository(recorded);
        await statistics.events(lowestPlace, 100);
        await statistics.count(1, [newId(), newId()].map(decodeId));
        await statistics.ordersAfter(lowestPlace.eventId, 100);
        const days = { firstDay: "2026-01-01", lastDay: "2026-12-31", currency: "EUR", status: "pending" } as const;
        await statistics.list({ ...days, sku: "" }, { after: undefined, limit: 51 });
        await statistics.list({ ...days, sku: undefined }, { after: ["2026-01-01", "A", "EUR", "pending"], limit: 51 });
      },
      [
        /audit_event_publication_idx/,
        /customer_order_pkey/,
        /order_line_pkey/,
        /order_statistics_fact_pkey/,
        /order_statistics_none_idx/,
        /order_statistics_sku_idx/,
        /order_statistics_pkey/,
      ],
    ],
    [
      "what is shown of all this",
      async () => {
        const metrics = createOrderMetrics(new Registry());
        const admission = new Admission({ confirmWithinMs: 1, underWay: 1 });
        const watch = createEpisodeWatch({ database: recorded, metrics, admission, logger: quietLogger() });
        watch.start();
        await watch.stop();
      },
      [/order_event_due_idx/, /customer_order_pkey/, /customer_order_parked_idx/, /customer_order_waiting_idx/],
    ],
    [
      "orders that do not get on",
      async () => {
        const metrics = createOrderMetrics(new Registry());
        const allowedMs = { pending: 1, confirmed: 1, preparing: 1, shipped: 1, carried: 1 };
        const watch = createProgressWatch({ database: recorded, metrics, logger: quietLogger(), allowedMs });
        watch.start();
        await watch.stop();
      },
      [/customer_order_status_idx/, /order_event_pkey/, /episode_start_time_idx/],
    ],
  ];
  for (const [name, run, indexes] of statements) {
    it(`has indexes for ${name}`, async () => {
      recorded.taken();
      await run();
      const plan = await recorded.plans("set local enable_sort = off");
      for (const index of indexes) assert.match(plan, index);
      assert.doesNotMatch(plan, /Seq Scan|Hash Join|Merge Join/);
      assert.doesNotMatch(plan, /using (customer_order|order_event)_pkey on .*\n(?!\s+Index Cond)/);
    });
  }

  it("has an index for an e-mail address in any case", async () => {
    await recorded.query("select * from customer where lower(email) = $1 order by customer_id desc", ["a@example.com"]);
    assert.match(await recorded.plans(), /customer_email_key/);
  });

  it("gives the runtime role no more than it needs", async () => {
    const forbidden = [
      "delete from customer",
      "update order_line set line_number = 1",
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
