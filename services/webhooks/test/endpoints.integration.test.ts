// Who may be told, where, and who has to prove what before: by the API, with a real database and a real subscriber.
import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import { Webhook } from "standardwebhooks";
import { WebhookEndpointStatus as Status } from "#gen/shop/webhooks/v1/webhook_endpoint_pb.js";
import { decodeId, newId } from "#platform/id.ts";
import { readAuditLog } from "#testing/audit-log.ts";
import type { TestDatabase } from "#testing/postgres.ts";
import { until } from "#testing/until.ts";
import { heard, Replica, reasonOf, Subscriber, tell, webhooksDatabase } from "./harness.ts";

let test: TestDatabase;
let replica: Replica;
let subscriber: Subscriber;
before(async () => {
  [test, subscriber] = await Promise.all([webhooksDatabase(), Subscriber.start()]);
  replica = new Replica(test.database);
});
after(async () => {
  await subscriber[Symbol.asyncDispose]();
  await test[Symbol.asyncDispose]();
});
afterEach(async () => {
  await test.database.query("delete from webhook_delivery");
  await test.database.query("delete from webhook_endpoint");
  subscriber.secrets.clear();
  subscriber.got.length = 0;
  subscriber.answer = () => 204;
});

const wanted = { eventTypes: ["shop.*"], personal: false };
const create = (name: string, url = subscriber.url(name)) => replica.api.createEndpoint({ name, url, ...wanted });

describe("an endpoint", () => {
  it("is made unverified, and nothing is sent to it, kept for it or replayed before it has proved itself", async () => {
    const { endpoint, secret } = await create("billing");
    assert.equal(endpoint?.status, Status.UNVERIFIED);
    assert.match(secret, /^whsec_/);
    const endpointId = endpoint?.endpointId ?? "";
    await tell(test.database, heard());
    assert.equal((await replica.api.listDeliveries({ endpointId })).deliveries.length, 0);
    assert.equal(await reasonOf(replica.api.sendTestEvent({ endpointId })), "ENDPOINT_UNVERIFIED");
    const which = { case: "deliveryId" as const, value: newId() };
    assert.equal(await reasonOf(replica.api.replayDeliveries({ endpointId, which })), "ENDPOINT_UNVERIFIED");
    assert.deepEqual(subscriber.got, []);
  });

  it("proves itself by the signature that only who has the secret can make", async () => {
    const { endpoint, secret } = await create("billing");
    const endpointId = endpoint?.endpointId ?? "";
    assert.equal(await reasonOf(replica.api.enableEndpoint({ endpointId })), "CHALLENGE_FAILED");
    subscriber.secrets.set("billing", secret);
    const enabled = await replica.api.enableEndpoint({ endpointId });
    assert.equal(enabled.endpoint?.status, Status.ENABLED);
    const challenge = subscriber.got.at(-1);
    assert.ok(challenge);
    new Webhook(secret).verify(challenge.body, { ...challenge.headers });
  });

  for (const [what, body] of [
    ["sends back what it got", undefined],
    ["answers nothing", ""],
    ["answers no JSON", "yes"],
    ["answers no text", '{"signature":7}'],
    [
      "signs with another secret",
      JSON.stringify({ signature: new Webhook("whsec_c2VjcmV0").sign("a", new Date(0), "b") }),
    ],
  ] as const) {
    it(`does not prove itself when it ${what}`, async (context) => {
      const { endpoint } = await create("mirror");
      const server = await import("node:http").then(({ createServer }) =>
        createServer((request, response) => {
          if (body === undefined) request.pipe(response);
          else response.end(body);
        }),
      );
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      context.after(() => server.close());
      const { port } = server.address() as { port: number };
      const wide = new Replica(test.database, { WEBHOOK_PORTS: String(port) });
      const endpointId = endpoint?.endpointId ?? "";
      await wide.api.updateEndpoint({ endpointId, url: `http://127.0.0.1:${port}/`, ...wanted });
      assert.equal(await reasonOf(wide.api.enableEndpoint({ endpointId })), "CHALLENGE_FAILED");
    });
  }

  it("that has moved has to prove itself again, and what happens meanwhile is kept", async () => {
    const endpointId = await replica.endpoint(subscriber, "old");
    const moved = await replica.api.updateEndpoint({ endpointId, url: subscriber.url("new"), ...wanted });
    assert.deepEqual([moved.endpoint?.status, moved.endpoint?.disableReason], [Status.DISABLED, "moved"]);
    assert.equal(await reasonOf(replica.api.sendTestEvent({ endpointId })), "ENDPOINT_UNVERIFIED");
    await tell(test.database, heard());
    assert.equal((await replica.api.getEndpoint({ endpointId })).endpoint?.pendingDeliveries, 1);
    assert.equal(await reasonOf(replica.api.enableEndpoint({ endpointId })), "CHALLENGE_FAILED");
    subscriber.secrets.set("new", subscriber.secrets.get("old") ?? "");
    assert.equal((await replica.api.enableEndpoint({ endpointId })).endpoint?.status, Status.ENABLED);
  });

  it("that moves while it is asked has proved nothing", async () => {
    const { endpoint, secret } = await create("billing");
    const endpointId = endpoint?.endpointId ?? "";
    subscriber.secrets.set("billing", secret);
    const enabled = replica.api.enableEndpoint({ endpointId });
    const frozen = test.database.transaction(async (tx) => {
      await tx.query("select from webhook_endpoint where endpoint_id = $1 for update", [decodeId(endpointId)]);
      await until(() => subscriber.got.length > 0, "the challenge");
      await tx.query("update webhook_endpoint set url = $2 where endpoint_id = $1", [
        decodeId(endpointId),
        subscriber.url("elsewhere"),
      ]);
    });
    await frozen;
    assert.equal(await reasonOf(enabled), "CHALLENGE_FAILED");
    assert.equal((await replica.api.getEndpoint({ endpointId })).endpoint?.status, Status.UNVERIFIED);
  });

  for (const [url, rule] of [
    ["https://169.254.169.254/", "address"],
    ["https://[::ffff:127.0.0.1]/", "address"],
    ["http://127.0.0.1:6379/", "port"],
    ["ftp://shop.example/", "scheme"],
    ["nonsense", "url"],
  ] as const) {
    it(`is not made at ${url}`, async () => {
      assert.equal(await reasonOf(create("billing", url)), "URL_REFUSED", rule);
    });
  }

  it("has a name of its own, and there are no more of them than there may be", async () => {
    const { endpoint } = await create("billing");
    await assert.rejects(create("billing"), (error: Error) => /an endpoint has the name billing/.test(error.message));
    const few = new Replica(test.database, { WEBHOOK_ENDPOINTS_MAX: "2", WEBHOOK_PORTS: String(subscriber.port) });
    const make = (name: string) => few.api.createEndpoint({ name, url: subscriber.url(name), ...wanted });
    const made = await Promise.all(["a", "b", "c"].map((name) => reasonOf(make(name))));
    assert.deepEqual(made.sort(), ["TOO_MANY_ENDPOINTS", "TOO_MANY_ENDPOINTS", "none"]);
    await replica.api.deleteEndpoint({ endpointId: endpoint?.endpointId ?? "" });
    assert.equal(await reasonOf(make("d")), "none");
  });

  it("is listed, and forgotten with its secrets; forgetting it twice succeeds", async () => {
    const [first, second] = [await create("a"), await create("b")].map(({ endpoint }) => endpoint?.endpointId ?? "");
    const page = await replica.api.listEndpoints({ pageSize: 1 });
    const next = await replica.api.listEndpoints({ pageSize: 1, pageToken: page.nextPageToken });
    assert.deepEqual(
      [...page.endpoints, ...next.endpoints].map(({ endpointId }) => endpointId),
      [second, first],
    );
    assert.equal(next.nextPageToken, "");
    await replica.api.deleteEndpoint({ endpointId: first ?? "" });
    await replica.api.deleteEndpoint({ endpointId: first ?? "" });
    assert.equal(await reasonOf(replica.api.getEndpoint({ endpointId: first ?? "" })), "ENDPOINT_NOT_FOUND");
    const [left] = await test.database.query(
      "select (select count(*)::int from webhook_secret) as secrets, (select count(*)::int from personal_key where subject = $1) as keys",
      [decodeId(first ?? "")],
    );
    assert.deepEqual(left, { secrets: 1, keys: 0 });
  });

  it("has its secret nowhere but sealed, and neither that nor its URL in the audit log", async () => {
    const { secret } = await create("billing", subscriber.url("path-that-nobody-guesses"));
    const rows = await Promise.all(
      ["webhook_secret", "webhook_endpoint", "personal_key"].map((table) =>
        test.database.query(`select t::text from ${table} t`),
      ),
    );
    assert.equal(JSON.stringify(rows).includes(secret.slice("whsec_".length, -1)), false);
    const log = JSON.stringify(await readAuditLog(test.database));
    assert.match(log, /endpoint\.created/);
    assert.doesNotMatch(log, /path-that-nobody-guesses|whsec_/);
  });
});

describe("the audit log", () => {
  it("takes an endpoint that is told of as many types as may be", async () => {
    const eventTypes = Array.from(
      { length: 64 },
      (_, index) => `shop.${"a".repeat(119)}${String.fromCharCode(97 + (index % 26), 97 + Math.floor(index / 26))}.*`,
    );
    assert.equal(
      await reasonOf(replica.api.createEndpoint({ name: "most", url: subscriber.url("most"), eventTypes })),
      "none",
    );
  });
});

describe("a secret", () => {
  it("signs beside the one after it until the overlap is over, and then no more", async () => {
    const endpointId = await replica.endpoint(subscriber, "billing");
    const former = subscriber.secrets.get("billing") ?? "";
    const { secret } = await replica.api.rotateSecret({ endpointId });
    await replica.api.sendTestEvent({ endpointId });
    const both = subscriber.to("billing").at(-1);
    assert.ok(both);
    assert.equal(both.headers["webhook-signature"]?.split(" ").length, 2);
    for (const each of [former, secret]) new Webhook(each).verify(both.body, { ...both.headers });
    const { secret: last } = await replica.api.rotateSecret({ endpointId, overlap: { seconds: 0n } });
    await replica.api.sendTestEvent({ endpointId });
    const one = subscriber.to("billing").at(-1);
    assert.ok(one);
    new Webhook(last).verify(one.body, { ...one.headers });
    for (const each of [former, secret]) assert.throws(() => new Webhook(each).verify(one.body, { ...one.headers }));
  });

  it("is one of four at most, unless those of before are stolen", async () => {
    const endpointId = await replica.endpoint(subscriber, "billing");
    for (let count = 2; count <= 4; count += 1) await replica.api.rotateSecret({ endpointId });
    assert.equal(await reasonOf(replica.api.rotateSecret({ endpointId })), "TOO_MANY_SECRETS");
    assert.equal(await reasonOf(replica.api.rotateSecret({ endpointId, overlap: { seconds: 0n } })), "none");
    assert.equal(await reasonOf(replica.api.rotateSecret({ endpointId: newId() })), "ENDPOINT_NOT_FOUND");
  });
});

describe("a test event", () => {
  it("is sent once, at once, and what came of it is said", async () => {
    const endpointId = await replica.endpoint(subscriber, "billing");
    const tested = await replica.api.sendTestEvent({ endpointId });
    const [got] = subscriber.to("billing");
    assert.deepEqual([got?.id, got?.type], [tested.eventId, "webhooks.test.v1"]);
    assert.deepEqual([tested.succeeded, tested.outcome], [true, "status 204"]);
    subscriber.answer = () => ({ status: 500, body: "what nobody is shown" });
    const failed = await replica.api.sendTestEvent({ endpointId });
    assert.deepEqual([failed.succeeded, failed.outcome], [false, "status 500"]);
  });
});
