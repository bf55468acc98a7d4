// What happens at a gateway by itself: each once, whatever is listed twice, and right in the ledger.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import pg from "pg";
import { Registry } from "prom-client";
import {
  GatewayConnectorService,
  ListEventsResponseSchema,
} from "#gen/ordermesh/connectors/v1/gateway_connector_service_pb.js";
import { DisputeState, type GatewayEventSchema } from "#gen/ordermesh/connectors/v1/gateway_event_pb.js";
import { DisputeState as ListedState } from "#gen/shop/payments/v1/dispute_pb.js";
import type { Database } from "#platform/database/database.ts";
import type { Transaction } from "#platform/database/transaction.ts";
import { decodeId } from "#platform/id.ts";
import { quietLogger } from "#testing/logger.ts";
import { dead, Life } from "#testing/mortal.ts";
import { AuditComparison } from "../../books/src/balance/audit.ts";
import { allIds } from "../../books/src/balance/range.ts";
import { GatewayEventRepository } from "../src/gateway-event/gateway-event.repository.ts";
import { GatewayEventReader } from "../src/gateway-event/gateway-event-reader.ts";
import { PaymentMetrics } from "../src/move/metrics.ts";
import { statusOf } from "../src/payment/payment.ts";
import { authorization, change, connect, type Harness, openHarness, unreachable } from "./harness.ts";

type Events = Pick<Database, "query" | "transaction">;
type Event = MessageInitShape<typeof GatewayEventSchema>;

let harness: Harness;
before(async () => {
  harness = await openHarness();
});
after(() => harness?.[Symbol.asyncDispose]());

const listed: Event[] = [];
let count = 0;

/** Lists an event behind all others. */
function list(event: Omit<Event, "position" | "eventId" | "$typeName">, eventId = `e${count + 1}`): void {
  count += 1;
  listed.push({ position: String(count).padStart(4, "0"), eventId, ...event });
}

function reader(database: Events = harness.database): GatewayEventReader {
  const transport = createRouterTransport((router) =>
    router.service(GatewayConnectorService, {
      listEvents: ({ after, limit }) =>
        create(ListEventsResponseSchema, {
          events: listed.filter(({ position = "" }) => position > after).slice(0, limit),
        }),
    }),
  );
  return new GatewayEventReader({
    connector: createClient(GatewayConnectorService, transport),
    events: new GatewayEventRepository(database),
    timeoutMs: 1_000,
    log: quietLogger(),
  });
}

/** A payment with the keys that the gateway knows its operations by. */
async function refunded(amount = 400n) {
  const mover = harness.mover();
  const input = authorization();
  await mover.authorize(input);
  await mover.change(change("capture", input.paymentId));
  const refund = change("refund", input.paymentId, { amount });
  await mover.change(refund);
  const keys = await harness.admin<{ kind: string; operation_id: string }>(
    "select kind, operation_id from payment_operation where payment_id = $1",
    [decodeId(input.paymentId)],
  );
  const keyOf = (kind: string) => keys.find((row) => row.kind === kind)?.operation_id ?? "";
  return { ...input, refund, authorizationKey: keyOf("authorize"), key: keyOf("refund") };
}

/** What the simulated gateway would say of a refund that failed. */
async function failAtGateway(authorizationKey: string, key: string, amount: bigint): Promise<void> {
  const client = new pg.Client({ connectionString: harness.outside.adminUrl });
  await client.connect();
  await client.query("update gateway_record set refunded = refunded - $2 where key = $1", [authorizationKey, amount]);
  await client.query("update gateway_record set decline_code = 'expired_or_canceled_card' where key = $1", [key]);
  await client.end();
}

/** The audit log says of each payment what its row says. */
async function assertAudited(): Promise<void> {
  const comparison = new AuditComparison("payments");
  const ask = async <R>(sql: string, values: readonly unknown[] = []) => (await harness.admin(sql, [...values])) as R[];
  await comparison.compare(ask, allIds);
  assert.deepEqual(comparison.finding.wrong, []);
}

const refundFailed = (key: string) =>
  ({ case: "refundFailed", value: { key, code: "expired_or_canceled_card" } }) as const;

test("a refund that has failed is taken back once, is told of, and can be paid again", async () => {
  const payment = await refunded();
  await harness.assertBalance();
  await failAtGateway(payment.authorizationKey, payment.key, 400n);
  list({ authorizationKey: payment.authorizationKey, event: refundFailed(payment.key) }, "once");
  list({ authorizationKey: payment.authorizationKey, event: refundFailed(payment.key) }, "once");
  list({ authorizationKey: payment.authorizationKey, event: refundFailed(payment.key) }, "under another id");
  await Promise.all([reader().read(), reader().read(), reader().read()]);
  await reader().read();
  const stored = await harness.payments.get(payment.paymentId);
  assert.equal(stored?.refunded, 0n);
  assert.equal(stored && statusOf(stored), "captured");
  await harness.assertBalance();
  await assertAudited();
  const audit = await harness.admin<{ details: { amount: string; decline_code: string } }>(
    "select details from audit_event where action = 'payment.refund_failed' and subject = $1",
    [payment.paymentId],
  );
  assert.deepEqual(
    audit.map(({ details }) => [details.amount, details.decline_code]),
    [["400", "expired_or_canceled_card"]],
  );
  await assert.rejects(harness.mover().change(payment.refund), { reasonName: "PAYMENT_DECLINED" });
  const again = await harness.mover().change(change("refund", payment.paymentId, { amount: 400n }));
  assert.equal(again.payment.refunded, 400n);
  await harness.assertBalance();
});

/** A payment of which a refund was sent, and nobody knows what became of it. */
async function undecided(amount: bigint) {
  const mover = harness.mover();
  const input = authorization();
  await mover.authorize(input);
  await mover.change(change("capture", input.paymentId));
  const cut = harness.mover({
    gateway: unreachable(),
    config: { PAYMENTS_ANSWER_WITHIN_MS: 20, GATEWAY_TIMEOUT_MS: 50 },
  });
  await cut.change(change("refund", input.paymentId, { amount }));
  await cut.drain(0);
  const keys = await harness.admin<{ kind: string; operation_id: string }>(
    "select kind, operation_id from payment_operation where payment_id = $1",
    [decodeId(input.paymentId)],
  );
  const keyOf = (kind: string) => keys.find((row) => row.kind === kind)?.operation_id ?? "";
  return { ...input, authorizationKey: keyOf("authorize"), key: keyOf("refund") };
}

test("a failure that is told of before its refund is written down waits for that", async () => {
  const { paymentId, authorizationKey, key } = await undecided(300n);
  list({ authorizationKey, event: refundFailed(key) });
  assert.equal(await reader().read(), 0);
  await harness.resolveAll(harness.mover());
  assert.equal((await harness.payments.get(paymentId))?.refunded, 300n);
  await failAtGateway(authorizationKey, key, 300n);
  assert.deepEqual(
    (await Promise.all([reader().read(), reader().read(), reader().read()])).toSorted(),
    [0, 0, 1],
    "it has its effect once",
  );
  assert.equal((await harness.payments.get(paymentId))?.refunded, 0n);
  await harness.assertBalance();
});

test("what is told behind a failure that waits does not wait for it", async () => {
  const waiting = await undecided(300n);
  const others = [await refunded(100n), await refunded(100n)];
  const page = { authorizationKey: waiting.authorizationKey, event: refundFailed(waiting.key) } as const;
  list(page);
  for (const { authorizationKey, key } of others) {
    await failAtGateway(authorizationKey, key, 100n);
    list({ authorizationKey, event: refundFailed(key) });
    list(page);
  }
  assert.equal(await reader().read(), 2);
  assert.equal(await reader().read(), 0);
  for (const { paymentId } of others) assert.equal((await harness.payments.get(paymentId))?.refunded, 0n);
  const [aside] = await harness.admin<{ count: bigint }>("select count(*) from waiting_gateway_event");
  assert.equal(Number(aside?.count), 1, "a refund waits once, however often its failure is told of");
  await harness.resolveAll(harness.mover());
  await failAtGateway(waiting.authorizationKey, waiting.key, 300n);
  assert.equal(await reader().read(), 1);
  assert.equal(await reader().read(), 0);
  assert.equal((await harness.payments.get(waiting.paymentId))?.refunded, 0n);
  await harness.assertBalance();
});

/** A database whose process dies at one of its lines, in transactions and around them. */
function dyingDatabase(diesAt: number) {
  const life = new Life(diesAt);
  const { database } = harness;
  const dying = {
    query: database.query.bind(database),
    transaction: <T>(work: (tx: Transaction) => Promise<T>) => database.transaction((tx) => work(life.share(tx))),
  };
  return { life, database: life.share(dying) };
}

test("a reader that dies between any two of its lines leaves each failure taken back once", async () => {
  for (let diesAt = 0, over = false; !over; diesAt += 1) {
    const payment = await refunded(100n);
    await failAtGateway(payment.authorizationKey, payment.key, 100n);
    list({ authorizationKey: payment.authorizationKey, event: refundFailed(payment.key) });
    const { life, database } = dyingDatabase(diesAt);
    await reader(database)
      .read()
      .catch((error: unknown) => assert.equal(error, dead));
    over = !life.over;
    await reader().read();
    assert.equal((await harness.payments.get(payment.paymentId))?.refunded, 0n, `dies at line ${diesAt}`);
    const noted = await harness.admin(
      "select from audit_event where action = 'payment.refund_failed' and subject = $1",
      [payment.paymentId],
    );
    assert.equal(noted.length, 1, `dies at line ${diesAt}`);
    assert.ok(over || diesAt < 100);
  }
  await harness.assertBalance();
  await assertAudited();
});

test("a reader that dies between any two of its lines forgets no failure that waits", async () => {
  for (let diesAt = 0, over = false; !over; diesAt += 1) {
    const { paymentId, authorizationKey, key } = await undecided(100n);
    list({ authorizationKey, event: refundFailed(key) });
    const asides = dyingDatabase(diesAt);
    await reader(asides.database)
      .read()
      .catch((error: unknown) => assert.equal(error, dead));
    await reader().read();
    await harness.resolveAll(harness.mover());
    await failAtGateway(authorizationKey, key, 100n);
    const takes = dyingDatabase(diesAt);
    await reader(takes.database)
      .read()
      .catch((error: unknown) => assert.equal(error, dead));
    over = !asides.life.over && !takes.life.over;
    await reader().read();
    assert.equal((await harness.payments.get(paymentId))?.refunded, 0n, `dies at line ${diesAt}`);
    const noted = await harness.admin(
      "select from audit_event where action = 'payment.refund_failed' and subject = $1",
      [paymentId],
    );
    assert.equal(noted.length, 1, `dies at line ${diesAt}`);
    assert.ok(over || diesAt < 100);
  }
  await harness.assertBalance();
  await assertAudited();
});

test("a page that is full is followed by the next", async () => {
  const payment = await refunded(100n);
  for (let index = 0; index < 300; index += 1) {
    const dispute = { disputeId: `dp_${index}`, state: DisputeState.OPEN, reason: "fraudulent" };
    const value = { ...dispute, amount: { currency: "EUR", amount: 1n } };
    list({ authorizationKey: payment.authorizationKey, event: { case: "disputed", value } });
  }
  assert.deepEqual([await reader().read(), await reader().read(), await reader().read()], [256, 44, 0]);
});

test("whoever reads next shows what was read by one that died at once, for an hour", async () => {
  await harness.admin("update gateway_event set create_time = now() - interval '61 minutes'");
  const payment = await refunded(100n);
  await failAtGateway(payment.authorizationKey, payment.key, 100n);
  list({ authorizationKey: payment.authorizationKey, event: refundFailed(payment.key) });
  assert.equal(await reader().read(), 1);
  const registry = new Registry();
  const metrics = new PaymentMetrics(registry);
  await metrics.refreshGatewayEvents(new GatewayEventRepository(harness.database));
  const shown = await registry.getSingleMetricAsString("payments_gateway_events_recent");
  const values = shown.split("\n").filter((line) => !line.startsWith("#"));
  const value = (kind: string, count: number) => `payments_gateway_events_recent{kind="${kind}"} ${count}`;
  assert.deepEqual(values, [value("refund_failed", 1), value("hold_ended", 0), value("disputed", 0)]);
});

test("a hold that has ended, and a dispute, are written down and told of", async () => {
  const input = authorization();
  await harness.mover().authorize(input);
  const [row] = await harness.admin<{ operation_id: string }>(
    "select operation_id from payment_operation where payment_id = $1",
    [decodeId(input.paymentId)],
  );
  const authorizationKey = row?.operation_id ?? "";
  list({ authorizationKey, event: { case: "holdEnded", value: {} } });
  const amount = { currency: "EUR", amount: 700n };
  const dispute = { disputeId: "dp_1", state: DisputeState.OPEN, reason: "fraudulent", amount };
  list({ authorizationKey, event: { case: "disputed", value: dispute } });
  await reader().read();
  const stored = await harness.payments.get(input.paymentId);
  assert.ok(stored?.holdExpireTime && stored.holdExpireTime <= new Date());
  const audit = await harness.admin<{ action: string; details: Record<string, string> }>(
    "select action, details from audit_event where subject = $1 and action <> 'payment.authorized' order by event_id",
    [input.paymentId],
  );
  assert.deepEqual(
    audit.map(({ action, details }) => [action, details.amount, details.dispute_id ?? ""]),
    [
      ["payment.hold_ended", "1000", ""],
      ["payment.disputed", "700", "dp_1"],
    ],
  );
  assert.equal(stored.refunded, 0n);
  await assertAudited();
});

/** What metrics say of disputes: open, and to be answered soon. */
async function shownDisputes(): Promise<(number | undefined)[]> {
  const registry = new Registry();
  await new PaymentMetrics(registry).refreshGatewayEvents(new GatewayEventRepository(harness.database));
  const shown = await registry.getMetricsAsJSON();
  const value = (name: string) => shown.find((metric) => metric.name === name)?.values[0]?.value;
  return [value("payments_disputes_open"), value("payments_disputes_due")];
}

test("a dispute is kept as it stands, with the time until which it has to be answered", async () => {
  await harness.admin("delete from payment_dispute");
  const { paymentId, authorizationKey } = await refunded(100n);
  const days = (count: number) => new Date(Date.UTC(2_099, 0, 1) + count * 24 * 3_600_000);
  const tell = async (...said: readonly { state: DisputeState; id?: string; until?: Date }[]) => {
    for (const { state, id = "dp_kept", until } of said) {
      const value = { disputeId: id, state, reason: "fraudulent", amount: { currency: "EUR", amount: 700n } };
      const respondByTime = until && timestampFromDate(until);
      list({ authorizationKey, event: { case: "disputed", value: { ...value, respondByTime } } });
    }
    await reader().read();
  };
  const kept = async () => {
    const rows = await harness.admin<{ state: string; until: Date | null }>(
      "select state, respond_by_time as until from payment_dispute where payment_id = $1 and dispute_id = 'dp_kept'",
      [decodeId(paymentId)],
    );
    return rows.map(({ state, until }) => [state, until?.toISOString() ?? ""]);
  };
  await tell({ state: DisputeState.OPEN, until: days(1) }, { state: DisputeState.OPEN, until: days(2) });
  assert.deepEqual(await kept(), [["open", days(2).toISOString()]]);
  assert.deepEqual(await shownDisputes(), [1, 0], "there is time");
  const [day] = await harness.admin<{ soon: Date }>("select now() + interval '71 hours' as soon");
  await tell({ state: DisputeState.OPEN, until: day?.soon ?? days(0) });
  assert.deepEqual(await shownDisputes(), [1, 1]);
  await tell(
    { state: DisputeState.OPEN, id: "dp_late", until: new Date(0) },
    { state: DisputeState.OPEN, id: "dp_past", until: new Date("2020-01-01") },
  );
  assert.deepEqual(await shownDisputes(), [3, 1], "what cannot be answered any more reminds nobody");
  await tell({ state: DisputeState.OPEN });
  assert.deepEqual(await kept(), [["open", ""]]);
  assert.deepEqual(await shownDisputes(), [3, 0], "it was answered");
  await tell({ state: DisputeState.WON });
  assert.deepEqual(await kept(), [["won", ""]]);
  assert.deepEqual(await shownDisputes(), [2, 0]);
  const told = await harness.admin<{ until: string | null }>(
    "select details->>'respond_by_time' as until from audit_event where subject = $1 and action = 'payment.disputed' and details->>'dispute_id' = 'dp_kept' order by sequence",
    [paymentId],
  );
  const [first, second, , ...rest] = told.map(({ until }) => until);
  assert.deepEqual([first, second, ...rest], [days(1).toISOString(), days(2).toISOString(), null, null]);
});

/** A dispute as it stood at a time, in seconds since a day. */
function disputedAt(
  second: number,
  given: { id: string; state?: DisputeState; until?: Date; authorizationKey: string },
) {
  const { id: disputeId, state = DisputeState.OPEN, until, authorizationKey } = given;
  const said = { disputeId, state, reason: "fraudulent", amount: { currency: "EUR", amount: 700n } };
  const value = { ...said, respondByTime: until && timestampFromDate(until) };
  const time = timestampFromDate(new Date(Date.UTC(2_099, 0, 1) + second * 1_000));
  list({ authorizationKey, time, event: { case: "disputed", value } });
}

test("of a dispute counts how it stood last, in whatever order that is told, and only that is told on", async () => {
  const { paymentId, authorizationKey } = await refunded(100n);
  const tell = (second: number, until?: Date, state = DisputeState.OPEN) =>
    disputedAt(second, { id: "dp_order", state, authorizationKey, ...(until && { until }) });
  const day = (of: number) => new Date(Date.UTC(2_099, 5, of));
  tell(10, day(1));
  tell(5, day(9));
  tell(20, day(2));
  await reader().read();
  tell(15, day(9), DisputeState.LOST);
  tell(20, day(3));
  await reader().read();
  const [kept] = (await connect(harness.process()).listDisputes({ paymentId })).disputes;
  assert.deepEqual([kept?.state, kept?.respondByTime], [ListedState.OPEN, timestampFromDate(day(3))]);
  const told = await harness.admin<{ until: string }>(
    "select details->>'respond_by_time' as until from audit_event where subject = $1 and action = 'payment.disputed' order by sequence",
    [paymentId],
  );
  assert.deepEqual(
    told.map(({ until }) => until),
    [1, 2, 3].map((of) => day(of).toISOString()),
  );
});

test("disputes are listed by when they have to be answered, page by page, and by what they are asked for", async () => {
  await harness.admin("delete from payment_dispute");
  const client = connect(harness.process());
  const [first, second] = [await refunded(100n), await refunded(100n)];
  const day = (of: number) => new Date(Date.UTC(2_099, 5, of));
  const all = [
    { id: "dp_c", until: day(3), ...first },
    { id: "dp_a", until: day(1), ...second },
    { id: "dp_none", ...first },
    { id: "dp_won", state: DisputeState.WON, ...second },
    { id: "dp_b", until: day(2), ...first },
  ];
  for (const each of all) disputedAt(1, each);
  await reader().read();
  const { disputes } = await client.listDisputes({});
  const ids = disputes.map(({ disputeId }) => disputeId);
  assert.deepEqual(ids.slice(0, 3), ["dp_a", "dp_b", "dp_c"]);
  assert.deepEqual(ids.slice(3).toSorted(), ["dp_none", "dp_won"]);
  const { disputeId, paymentId, orderId, state, reason, amount, respondByTime } = disputes[0] ?? {};
  assert.deepEqual(
    [disputeId, paymentId, orderId, state, reason, amount?.currency, amount?.amount, respondByTime],
    ["dp_a", second.paymentId, second.orderId, ListedState.OPEN, "fraudulent", "EUR", 700n, timestampFromDate(day(1))],
  );
  const paged: string[] = [];
  for (let pageToken = "", pages = 0; pages === 0 || pageToken !== ""; pages += 1) {
    const page = await client.listDisputes({ pageSize: 2, pageToken });
    paged.push(...page.disputes.map((dispute) => dispute.disputeId));
    pageToken = page.nextPageToken;
    assert.ok(pages < 5);
  }
  assert.deepEqual(paged, ids);
  const [from, until] = [timestampFromDate(day(2)), timestampFromDate(day(3))];
  const cases = [
    [{ respondByTimeFrom: from, respondByTimeUntil: until }, ["dp_b"]],
    [{ respondByTimeUntil: until }, ["dp_a", "dp_b"]],
    [{ respondByTimeFrom: until, state: ListedState.OPEN }, ["dp_c", "dp_none"]],
    [{ paymentId: second.paymentId }, ["dp_a", "dp_won"]],
    [{ orderId: first.orderId }, ["dp_b", "dp_c", "dp_none"]],
    [{ orderId: first.orderId, paymentId: second.paymentId }, []],
    [{ state: ListedState.WON }, ["dp_won"]],
    [{ state: ListedState.LOST }, []],
  ] as const;
  for (const [filter, expected] of cases) {
    const listedIds = (await client.listDisputes(filter)).disputes.map((dispute) => dispute.disputeId);
    assert.deepEqual(listedIds, expected, JSON.stringify(expected));
  }
  const { nextPageToken: pageToken } = await client.listDisputes({ pageSize: 1 });
  await assert.rejects(client.listDisputes({ pageSize: 1, pageToken, state: ListedState.OPEN }), /page token/);
});

test("what nobody understands, or is of no payment of ours, keeps nothing else from being read", async () => {
  const payment = await refunded(100n);
  await failAtGateway(payment.authorizationKey, payment.key, 100n);
  list({ authorizationKey: "not a key", event: { case: "holdEnded", value: {} } });
  list({ authorizationKey: "00000000-0000-4000-8000-000000000000", event: { case: "holdEnded", value: {} } });
  list({ authorizationKey: payment.authorizationKey });
  list({ authorizationKey: payment.authorizationKey, event: refundFailed(payment.key) });
  await reader().read();
  assert.equal((await harness.payments.get(payment.paymentId))?.refunded, 0n);
  assert.equal(await reader().read(), 0);
});

test("a gateway that tells of nothing is asked in vain, and one that is away is an error", async () => {
  const readerOf = (code: Code) =>
    new GatewayEventReader({
      connector: { listEvents: () => Promise.reject(new ConnectError("no", code)) },
      events: new GatewayEventRepository(harness.database),
      timeoutMs: 1_000,
      log: quietLogger(),
    });
  assert.equal(await readerOf(Code.Unimplemented).read(), 0);
  await assert.rejects(readerOf(Code.Unavailable).read());
});
