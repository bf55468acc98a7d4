// What endpoints are told: once at least, in order, with pauses, and nobody waits for anybody else.
import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import pg from "pg";
import { Webhook } from "standardwebhooks";
import { WebhookEndpointStatus as Status, WebhookDeliveryStatus } from "#gen/shop/webhooks/v1/webhook_endpoint_pb.js";
import { decodeId, newId } from "#platform/id.ts";
import { readAuditLog } from "#testing/audit-log.ts";
import type { TestDatabase } from "#testing/postgres.ts";
import { until } from "#testing/until.ts";
import { type Got, heard, Replica, reasonOf, Subscriber, tell, webhooksDatabase } from "./harness.ts";

let test: TestDatabase;
let subscriber: Subscriber;
const running = new Set<Replica>();
before(async () => {
  [test, subscriber] = await Promise.all([webhooksDatabase(), Subscriber.start()]);
});
after(async () => {
  await subscriber[Symbol.asyncDispose]();
  await test[Symbol.asyncDispose]();
});
afterEach(async () => {
  await Promise.all([...running].map((replica) => replica.parts.stop?.()));
  running.clear();
  for (const table of ["webhook_delivery", "webhook_event", "webhook_endpoint"])
    await test.database.query(`delete from ${table}`);
  subscriber.got.length = 0;
  subscriber.answer = () => 204;
});

async function started(given: NodeJS.ProcessEnv = {}): Promise<Replica> {
  const replica = new Replica(test.database, given);
  await replica.parts.start?.();
  running.add(replica);
  return replica;
}

/** What the service itself may not do. */
async function asOwner(sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: test.ownerUrl });
  await client.connect();
  await client.query(sql);
  await client.end();
}

const deliveriesOf = async (replica: Replica, endpointId: string) =>
  (await replica.api.listDeliveries({ endpointId, pageSize: 200 })).deliveries;

const ended = (replica: Replica, endpointId: string, status = WebhookDeliveryStatus.SUCCEEDED) =>
  until(async () => {
    const all = await deliveriesOf(replica, endpointId);
    return all.length > 0 && all.every((each) => each.status === status) && all;
  }, "all deliveries have ended");

const disabled = (replica: Replica, endpointId: string) =>
  until(async () => {
    const { endpoint } = await replica.api.getEndpoint({ endpointId });
    return endpoint?.status === Status.DISABLED && endpoint;
  }, "the endpoint is disabled");

describe("a delivery", () => {
  it("says what happened under the id of the event, signed at the time of the attempt", async () => {
    const replica = await started();
    const endpointId = await replica.endpoint(subscriber, "billing");
    const event = heard();
    await tell(test.database, event);
    const [delivery] = await ended(replica, endpointId);
    const [got, ...more] = subscriber.to("billing");
    assert.ok(got && delivery);
    assert.deepEqual(more, []);
    assert.equal(got.id, event.eventId);
    assert.deepEqual(JSON.parse(got.body), {
      type: event.type,
      timestamp: event.time.toISOString(),
      data: JSON.parse(event.data),
    });
    new Webhook(subscriber.secrets.get("billing") ?? "").verify(got.body, { ...got.headers });
    assert.deepEqual(
      [delivery.eventId, delivery.subject, delivery.attempts, delivery.outcome],
      [event.eventId, event.subject, 1, "status 204"],
    );
    assert.equal(await replica.figure("webhooks_deliveries_total", { status: "succeeded" }), 1);
  });

  it("goes only to those who want it, and of persons only to those who may know", async () => {
    const replica = await started();
    await replica.endpoint(subscriber, "stock", ["shop.inventory.*"]);
    await replica.endpoint(subscriber, "most", ["shop.*"]);
    await replica.endpoint(subscriber, "all", ["shop.*"], true);
    const types = ["shop.inventory.stock.low.v1", "shop.orders.order.cut.v1", "shop.orders.customer.updated.v1"];
    await tell(test.database, ...types.map((type) => heard({ type })));
    await until(() => subscriber.to("all").length === 3 && subscriber.to("most").length === 2, "they are told");
    const typesOf = (path: string) =>
      subscriber
        .to(path)
        .map(({ type }) => type)
        .sort();
    assert.deepEqual(typesOf("stock"), [types[0]]);
    assert.deepEqual(typesOf("most"), [types[0], types[1]]);
  });

  it("is repeated under the same id, later and later, until it is taken", async () => {
    const replica = await started({ WEBHOOK_RETRY_PAUSES_MS: "50,150" });
    const endpointId = await replica.endpoint(subscriber, "billing");
    subscriber.answer = () => (subscriber.to("billing").length < 3 ? 503 : 200);
    await tell(test.database, heard());
    const [delivery] = await ended(replica, endpointId);
    const got = subscriber.to("billing");
    assert.equal(new Set(got.map(({ id }) => id)).size, 1);
    assert.deepEqual([got.length, delivery?.attempts], [3, 3]);
    const [first, second, third] = got.map(({ at }) => at) as [number, number, number];
    assert.ok(second - first >= 50 && third - second >= 150, `${second - first} ${third - second}`);
  });

  for (const status of [301, 302, 307, 400, 404, 500]) {
    it(`is not made by an answer of ${status}`, async () => {
      const replica = await started({ WEBHOOK_RETRY_PAUSES_MS: "10" });
      const endpointId = await replica.endpoint(subscriber, "billing");
      subscriber.answer = () => ({ status, headers: { location: subscriber.url("elsewhere") } });
      await tell(test.database, heard());
      const [delivery] = await ended(replica, endpointId, WebhookDeliveryStatus.FAILED);
      assert.deepEqual([delivery?.outcome, delivery?.attempts], [`status ${status}`, 2]);
      assert.deepEqual(subscriber.to("elsewhere"), []);
    });
  }

  it("waits as long as the endpoint asks for, and so do the others to it", async () => {
    const replica = await started({ WEBHOOK_RETRY_PAUSES_MS: "10,10" });
    const endpointId = await replica.endpoint(subscriber, "billing");
    subscriber.answer = () =>
      subscriber.to("billing").length === 1 ? { status: 429, headers: { "retry-after": "1" } } : 204;
    await tell(test.database, heard());
    await until(() => subscriber.to("billing").length === 1, "the first attempt");
    await until(async () => (await replica.api.getEndpoint({ endpointId })).endpoint?.pauseTime, "the pause");
    await tell(test.database, heard());
    await ended(replica, endpointId);
    const [first, second, third] = subscriber.to("billing").map(({ at }) => at) as [number, number, number];
    assert.ok(second - first >= 990 && third - first >= 990, `${second - first} ${third - first}`);
  });

  it("comes in the order of its subject: what fails is waited for, other subjects are not", async () => {
    const replica = await started({ WEBHOOK_RETRY_PAUSES_MS: "200" });
    const endpointId = await replica.endpoint(subscriber, "billing");
    const [one, other] = [newId(), newId()];
    const events = [1, 2, 3].map(() => heard({ subject: one }));
    const first = events[0]?.eventId;
    subscriber.answer = ({ id }: Got) =>
      id === first && subscriber.to("billing").filter((each) => each.id === first).length < 2 ? 500 : 204;
    await tell(test.database, ...events, heard({ subject: other }));
    await ended(replica, endpointId);
    const ids = subscriber.to("billing").map(({ id }) => id);
    const ofOne = ids.filter((id) => events.some(({ eventId }) => eventId === id));
    assert.deepEqual(ofOne, [first, ...events.map(({ eventId }) => eventId)]);
    assert.ok(ids.findIndex((id) => !ofOne.includes(id)) <= 1, "the other subject waited");
  });

  it("is held up by no endpoint but its own", async () => {
    const replica = await started({ WEBHOOK_LANES: "2", WEBHOOK_TIMEOUT_MS: "5000" });
    await replica.endpoint(subscriber, "slow");
    await replica.endpoint(subscriber, "quick");
    const hold = Promise.withResolvers<void>();
    subscriber.answer = async ({ path }) => {
      if (path === "slow") await hold.promise;
      return 204;
    };
    await tell(test.database, ...Array.from({ length: 30 }, () => heard()));
    await until(() => subscriber.to("quick").length === 30, "the quick one is told");
    assert.equal(subscriber.to("slow").length, 2, "no more than its places");
    hold.resolve();
    await until(() => subscriber.to("slow").length === 30, "the slow one is told as well");
  });

  it("is made by one of several replicas", async () => {
    const replicas = await Promise.all([started(), started(), started()]);
    const [replica] = replicas;
    const endpointId = await replica.endpoint(subscriber, "billing");
    const subjects = Array.from({ length: 10 }, () => newId());
    const events = Array.from({ length: 100 }, (_, index) => heard({ subject: subjects[index % 10] as string }));
    await tell(test.database, ...events);
    await ended(replica, endpointId);
    const got = subscriber.to("billing");
    assert.equal(got.length, 100);
    for (const subject of subjects) {
      const wanted = events.filter((event) => event.subject === subject).map(({ eventId }) => eventId);
      assert.deepEqual(
        got.filter(({ data }) => data.orderId === subject).map(({ id }) => id),
        wanted,
      );
    }
  });
});

describe("an endpoint that fails", () => {
  it("is disabled once it has taken nothing for as long as a delivery is tried, and told of everything when it is back", async () => {
    const replica = await started({ WEBHOOK_RETRY_PAUSES_MS: "10" });
    const endpointId = await replica.endpoint(subscriber, "billing");
    await test.database.query("update webhook_endpoint set success_time = now() - interval '1 hour'");
    subscriber.answer = () => 500;
    const lost = heard();
    await tell(test.database, lost);
    const endpoint = await disabled(replica, endpointId);
    assert.equal(endpoint.disableReason, "failing");
    assert.equal(await replica.figure("webhooks_endpoints_disabled_total", { reason: "failing" }), 1);
    const log = await readAuditLog(test.database);
    assert.ok(
      log.some(
        ({ action, subject, actor }) =>
          action === "endpoint.disabled" && subject === endpointId && actor === "service:webhooks",
      ),
    );
    subscriber.answer = () => 204;
    const kept = heard();
    await tell(test.database, kept);
    const before = subscriber.to("billing").length;
    await replica.api.enableEndpoint({ endpointId });
    await until(() => subscriber.to("billing").length > before, "what was kept");
    assert.equal(subscriber.to("billing").at(-1)?.id, kept.eventId);
    const which = { case: "fromTime" as const, value: timestampFromDate(new Date(0)) };
    assert.equal((await replica.api.replayDeliveries({ endpointId, which, failedOnly: true })).replayed, 1);
    await ended(replica, endpointId);
    assert.equal(subscriber.to("billing").at(-1)?.id, lost.eventId);
  });

  it("is not disabled while it takes anything else", async () => {
    const replica = await started({ WEBHOOK_RETRY_PAUSES_MS: "300" });
    const endpointId = await replica.endpoint(subscriber, "billing");
    await test.database.query("update webhook_endpoint set success_time = now() - interval '1 hour'");
    const bad = heard();
    subscriber.answer = ({ id }) => (id === bad.eventId ? 400 : 204);
    await tell(test.database, bad, heard());
    await until(
      async () => (await deliveriesOf(replica, endpointId)).some(({ outcome }) => outcome === "status 400"),
      "it failed",
    );
    await until(async () => (await deliveriesOf(replica, endpointId)).every(({ endTime }) => endTime), "both ended");
    assert.equal((await replica.api.getEndpoint({ endpointId })).endpoint?.status, Status.ENABLED);
  });

  it("is disabled at once when it says that it is gone, and loses nothing by it", async () => {
    const replica = await started();
    const endpointId = await replica.endpoint(subscriber, "billing");
    subscriber.answer = () => 410;
    await tell(test.database, heard());
    assert.equal((await disabled(replica, endpointId)).disableReason, "gone");
    subscriber.answer = () => 204;
    await replica.api.enableEndpoint({ endpointId });
    await ended(replica, endpointId);
  });
});

describe("a replay", () => {
  it("tells again, under the same ids and in order, from a time on or one alone", async () => {
    const replica = await started();
    const endpointId = await replica.endpoint(subscriber, "billing");
    const subject = newId();
    const at = (seconds: number) => new Date(1_700_000_000_000 + seconds * 1_000);
    const events = [0, 10, 20].map((seconds) => heard({ subject, time: at(seconds) }));
    await tell(test.database, ...events);
    const oldest = (await ended(replica, endpointId)).find(({ eventId }) => eventId === events[0]?.eventId);
    subscriber.got.length = 0;
    const from = { case: "fromTime" as const, value: timestampFromDate(at(10)) };
    const { replayed, nextFromTime } = await replica.api.replayDeliveries({ endpointId, which: from });
    assert.deepEqual([replayed, nextFromTime], [2, undefined]);
    await ended(replica, endpointId);
    assert.deepEqual(
      subscriber.to("billing").map(({ id }) => id),
      events.slice(1).map(({ eventId }) => eventId),
    );
    const one = { case: "deliveryId" as const, value: oldest?.deliveryId ?? "" };
    assert.equal((await replica.api.replayDeliveries({ endpointId, which: one, failedOnly: true })).replayed, 0);
    assert.equal((await replica.api.replayDeliveries({ endpointId, which: one })).replayed, 1);
    const again = await ended(replica, endpointId);
    assert.equal(again.find(({ deliveryId }) => deliveryId === one.value)?.attempts, 2);
  });

  it("has all attempts before it again", async () => {
    const replica = await started({ WEBHOOK_RETRY_PAUSES_MS: "10" });
    const endpointId = await replica.endpoint(subscriber, "billing");
    subscriber.answer = () => 500;
    await tell(test.database, heard());
    await ended(replica, endpointId, WebhookDeliveryStatus.FAILED);
    subscriber.answer = () => (subscriber.to("billing").length < 4 ? 500 : 204);
    const which = { case: "fromTime" as const, value: timestampFromDate(new Date(0)) };
    await replica.api.enableEndpoint({ endpointId });
    await replica.api.replayDeliveries({ endpointId, which });
    assert.equal((await ended(replica, endpointId))[0]?.attempts, 4);
  });

  it("is of one's own deliveries alone", async () => {
    const replica = await started();
    const endpointId = await replica.endpoint(subscriber, "billing");
    const other = await replica.endpoint(subscriber, "other", ["shop.nothing.*"]);
    await tell(test.database, heard());
    const [delivery] = await ended(replica, endpointId);
    const which = { case: "deliveryId" as const, value: delivery?.deliveryId ?? "" };
    assert.equal((await replica.api.replayDeliveries({ endpointId: other, which })).replayed, 0);
    assert.equal(await reasonOf(replica.api.replayDeliveries({ endpointId: newId(), which })), "ENDPOINT_NOT_FOUND");
  });
});

describe("a process that dies", () => {
  it("between sending and writing that down has it sent again by another, under the same id", async () => {
    const dead = new Replica(test.database);
    const endpointId = await dead.endpoint(subscriber, "billing");
    const event = heard();
    await tell(test.database, event);
    // It was taken and never settled: all that is left of a process that died, whatever it had done by then.
    const claimed = await test.database.query(
      "update webhook_delivery set attempts = 1, next_time = now() + interval '300 milliseconds' returning delivery_id",
    );
    assert.equal(claimed.length, 1);
    const begun = Date.now();
    const replica = await started();
    const [delivery] = await ended(replica, endpointId);
    assert.deepEqual(
      subscriber.to("billing").map(({ id }) => id),
      [event.eventId],
    );
    assert.ok((subscriber.to("billing")[0]?.at ?? 0) - begun >= 250, "not before the lease was over");
    assert.equal(delivery?.attempts, 2);
  });

  it("and comes back does not undo what another has written down meanwhile", async () => {
    const hold = Promise.withResolvers<void>();
    const frozen = await started({ WEBHOOK_TIMEOUT_MS: "5000" });
    const endpointId = await frozen.endpoint(subscriber, "billing");
    subscriber.answer = async () => {
      if (subscriber.to("billing").length > 1) return 204;
      await hold.promise;
      return 500;
    };
    await tell(test.database, heard());
    await until(() => subscriber.to("billing").length === 1, "the first attempt");
    await test.database.query("update webhook_delivery set next_time = now()");
    const replica = await started();
    await ended(replica, endpointId);
    hold.resolve();
    await frozen.parts.stop?.();
    running.delete(frozen);
    const [delivery] = await deliveriesOf(replica, endpointId);
    assert.deepEqual([delivery?.status, delivery?.outcome], [WebhookDeliveryStatus.SUCCEEDED, "status 204"]);
  });

  it("in good order gives back what was not answered, at once", async () => {
    const ending = await started({ WEBHOOK_TIMEOUT_MS: "20000" });
    const endpointId = await ending.endpoint(subscriber, "billing");
    subscriber.answer = () => (subscriber.to("billing").length > 1 ? 204 : new Promise<never>(() => undefined));
    await tell(test.database, heard());
    await until(() => subscriber.to("billing").length === 1, "the first attempt");
    await ending.parts.stop?.();
    running.delete(ending);
    const replica = await started();
    await ended(replica, endpointId);
    assert.equal(subscriber.to("billing").length, 2);
  });
});

describe("what is kept", () => {
  it("goes when it is old, when its endpoint is deleted, and when somebody is to be forgotten", async () => {
    const replica = new Replica(test.database, { WEBHOOK_KEEP_DAYS: "7" });
    const endpointId = await replica.endpoint(subscriber, "billing", ["shop.*"], true);
    const deleted = await replica.endpoint(subscriber, "other", ["shop.*"], true);
    const old = heard();
    await tell(test.database, old, heard());
    await asOwner(
      `update webhook_event set receive_time = now() - interval '8 days' where event_id = '${decodeId(old.eventId)}'`,
    );
    await replica.api.deleteEndpoint({ endpointId: deleted });
    const customerId = newId();
    const update = heard({ type: "shop.orders.customer.updated.v1", subject: customerId });
    await tell(test.database, update);
    const erased = heard({ type: "shop.orders.customer.erased.v1", subject: customerId });
    await tell(test.database, erased);
    await replica.parts.start?.();
    running.add(replica);
    await until(async () => {
      const [row] = await test.database.query<{ count: number }>(
        "select count(*)::int as count from webhook_delivery where endpoint_id = $1",
        [decodeId(deleted)],
      );
      return row?.count === 0;
    }, "what was for an endpoint that is gone");
    const events = (await ended(replica, endpointId)).map(({ eventId }) => eventId);
    assert.deepEqual(
      [old, update].filter(({ eventId }) => events.includes(eventId)),
      [],
    );
    assert.equal(events.includes(erased.eventId), true);
  });
});
