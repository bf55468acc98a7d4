import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import pg from "pg";
import { OrderStatus } from "#gen/shop/orders/v1/order_pb.js";
import { newId } from "#platform/id.ts";
import { accountedServices, services } from "../../../services/services.ts";
import {
  type JaegerSpan,
  type JaegerTrace,
  linksOf,
  serviceOf,
  tagOf,
  untilSeen,
} from "../../observers/jaeger-query.ts";
import { declinedShape, deliveredShape, shipmentFailedShape } from "./traces-expected.ts";
import { assertShape, shapeOf, TracedStack } from "./traces-stack.ts";

/** What becomes of an order, and what its trace says then. */
const cases = [
  { name: "a delivered order", wish: {}, status: OrderStatus.DELIVERED, expected: deliveredShape },
  {
    name: "a declined order",
    wish: { cardToken: "tok_decline" },
    status: OrderStatus.REJECTED,
    expected: declinedShape,
  },
  {
    name: "an order whose shipment fails",
    wish: { postalCode: "SIM-REFUSE" },
    status: OrderStatus.FAILED,
    expected: shipmentFailedShape,
  },
] as const;

/** What a customer entrusts to us, and the name of a card: it is in no span, wherever it may be. */
const personal = /Compiler Road|G\. Hopper|Grace|Tracey|@example\.com|tok_/;

function spansOf(trace: JaegerTrace, service: string) {
  return trace.spans.filter((span) => serviceOf(trace, span) === service);
}

describe("the traces that Jaeger has", () => {
  let traced: TracedStack;
  before(async () => {
    traced = await TracedStack.start();
  });
  after(() => traced?.stop());

  for (const { name, wish, status, expected } of cases) {
    test(`of ${name} say exactly who called whom and which steps were taken`, async () => {
      const orderId = await traced.place(wish);
      await traced.reaches(orderId, status);
      const trace = await assertShape(traced, orderId, expected);
      assert.doesNotMatch(JSON.stringify(trace), personal);
    });
  }

  test("reach down to the statements, the card gateway and the carrier", async () => {
    const orderId = await traced.place();
    await traced.reaches(orderId, OrderStatus.DELIVERED);
    const trace = await traced.trace(orderId, deliveredShape);
    for (const service of accountedServices) {
      const statements = spansOf(trace, service).filter((span) => tagOf(span, "db.system.name") === "postgresql");
      assert.ok(statements.length > 0, `no statement of ${service}`);
      for (const span of statements) assert.equal(tagOf(span, "span.kind"), "client");
    }
    const peers = trace.spans.flatMap((span) => {
      const peer = tagOf(span, "peer.service");
      return peer === undefined ? [] : [`${serviceOf(trace, span)}: ${span.operationName} at ${peer}`];
    });
    assert.deepEqual([...new Set(peers)].sort(), [
      "payments: gateway authorize at card-gateway",
      "payments: gateway capture at card-gateway",
      "shipping: carrier book at carrier",
      "shipping: warehouse pack at warehouse",
      "worker: temporal start at temporal",
    ]);
  });

  test("of everything that ever happened have nothing personal in them", async () => {
    // No order asks who somebody is.
    const login = `${traced.stack.httpUrl("identity")}/shop.identity.v1.IdentityService/Login`;
    const body = JSON.stringify({ email: "tracey@example.com", password: "Grace of Compiler Road" });
    const answer = await fetch(login, { method: "POST", headers: { "content-type": "application/json" }, body });
    assert.equal(answer.status, 401);
    // Nor does one tell anybody by HTTP.
    const endpoints = `${traced.stack.httpUrl("webhooks")}/shop.webhooks.v1.WebhookService/ListEndpoints`;
    const refused = await fetch(endpoints, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: "{}",
    });
    assert.equal(refused.status, 401);
    // Nor is anybody told where there are no events.
    const preferences = `${traced.stack.httpUrl("notifications")}/shop.notifications.v1.NotificationService/GetPreferences`;
    const asked = await fetch(preferences, {
      method: "POST",
      headers: { "content-type": "application/json", ...traced.stack.headers },
      body: JSON.stringify({ customerId: newId() }),
    });
    assert.equal(asked.status, 200);
    for (const service of services) {
      const isThere = (traces: readonly JaegerTrace[]) => traces.length > 0;
      const traces = await untilSeen(() => traced.jaeger.latest(service), isThere, 20_000);
      for (const trace of traces) assert.doesNotMatch(JSON.stringify(trace), personal);
    }
  });

  test("have all episodes of an order: each begins in orders, and ends when the order rests again", async () => {
    const orderId = await traced.place({ postalCode: "SIM-SLOW" });
    await traced.reaches(orderId, OrderStatus.DELIVERED);
    const trace = await assertShape(traced, orderId, deliveredShape);
    const episodesOf = (spans: JaegerSpan[]) =>
      [...new Set(spans.map((span) => String(tagOf(span, "saga.id"))))].sort();
    const begun = episodesOf(spansOf(trace, "orders").filter(({ operationName }) => operationName === "dispatch"));
    // Checkout, departure, what the carrier says at last, arrival.
    assert.ok(begun.length >= 4, `${begun.length} episodes`);
    const settling = spansOf(trace, "worker").filter((span) =>
      /^settle|^deliver/.test(String(tagOf(span, "ordermesh.step"))),
    );
    assert.deepEqual(episodesOf(settling), begun);
  });

  test("survive a worker that is killed with SIGKILL in the middle of an episode", async () => {
    const client = new pg.Client({ connectionString: traced.stack.databaseUrl("payments", "postgres") });
    await client.connect();
    try {
      await client.query("begin");
      await client.query("lock table payment in exclusive mode");
      const orderId = await traced.place();
      const reserved = (trace: JaegerTrace) => shapeOf(trace).steps.includes("reserve done");
      await untilSeen(() => traced.jaeger.orderTrace(orderId), reserved, 20_000);
      traced.stack.kill("worker", "SIGKILL");
      await traced.stack.ready("worker");
      await client.query("commit");
      await traced.reaches(orderId, OrderStatus.DELIVERED);
      const trace = await assertShape(traced, orderId, deliveredShape);
      const workers = new Set(spansOf(trace, "worker").map(({ processID }) => processID));
      assert.equal(workers.size, 2, `the worker before the kill and the one after it, not ${[...workers].join(", ")}`);
    } finally {
      await client.end();
    }
  });
});

describe("orders that go on much later", () => {
  let traced: TracedStack;
  before(async () => {
    const environment = { all: { TRACE_MAX_AGE_MS: "2000" }, simulators: { PACKING_MS: "4000" } };
    traced = await TracedStack.start({ environment });
  });
  after(() => traced?.stop());

  test("have a further trace for each episode, which is linked to the first", async () => {
    const orderId = await traced.place();
    await traced.reaches(orderId, OrderStatus.DELIVERED);
    const first = await traced.trace(orderId);
    const checkout = ["authorize done", "confirm done", "prepare done", "reserve done", "settle done"];
    assert.deepEqual(shapeOf(first).steps, checkout);
    const stepsOf = (traces: JaegerTrace[]) => traces.map((trace) => shapeOf(trace).steps.join(", ")).sort();
    const wanted = ["capture done, commit done, settle done, ship done", "deliver done"];
    const isLinked = ({ spans }: JaegerTrace) =>
      spans.some((span) => linksOf(span).some(({ traceID }) => traceID === first.traceID));
    // Each process sends its spans when it likes to.
    const later = await untilSeen(
      async () => {
        const all = await traced.jaeger.find("worker", { "order.id": orderId });
        return all.filter(({ traceID }) => traceID !== first.traceID);
      },
      (traces) => isDeepStrictEqual(stepsOf(traces), wanted) && traces.every(isLinked),
      20_000,
    );
    for (const { spans } of later) {
      const orderIds = new Set(spans.map((span) => tagOf(span, "order.id")).filter((id) => id !== undefined));
      assert.deepEqual([...orderIds], [orderId]);
    }
  });
});

describe("traces that go another way", () => {
  let traced: TracedStack;
  before(async () => {
    const by = (exporter: string) => ({ OTEL_TRACES_EXPORTER: exporter });
    const environment = {
      orders: by("otlp"),
      worker: by("otlp"),
      shipping: by("otlp"),
      payments: by("zipkin"),
      inventory: by("zipkin"),
    };
    traced = await TracedStack.start({ environment });
  });
  after(() => traced?.stop());

  test("come together the same, by OTLP and by Zipkin", async () => {
    const orderId = await traced.place();
    await traced.reaches(orderId, OrderStatus.DELIVERED);
    const trace = await assertShape(traced, orderId, deliveredShape);
    assert.doesNotMatch(JSON.stringify(trace), personal);
  });
});
