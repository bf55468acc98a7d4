import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { OrderStatus } from "#gen/shop/orders/v1/order_pb.js";
import { type JaegerTrace, serviceOf, tagOf } from "../jaeger/query.ts";
import { assertShape, TracedStack } from "./traces-stack.ts";

/** What every order does first. */
const begin = ["orders → worker", "worker → inventory", "worker → orders", "worker → payments"];

/** What becomes of an order, and what its trace says then. */
const cases = [
  {
    name: "a delivered order",
    wish: {},
    status: OrderStatus.DELIVERED,
    expected: {
      edges: [...begin, "shipping → worker", "worker → shipping"].sort(),
      steps: [
        "authorize done",
        "capture done",
        "commit done",
        "confirm done",
        "delivered done",
        "prepare done",
        "reserve done",
        "ship done",
        "shipped done",
      ],
    },
  },
  {
    name: "a declined order",
    wish: { cardToken: "tok_decline" },
    status: OrderStatus.REJECTED,
    expected: {
      edges: begin,
      steps: ["authorize refused", "rejected done", "release done", "reserve done", "void done"],
    },
  },
  {
    name: "an order whose shipment fails",
    wish: { postalCode: "SIM-REFUSE" },
    status: OrderStatus.FAILED,
    expected: {
      edges: [...begin, "worker → shipping"].sort(),
      steps: [
        "authorize done",
        "cancel done",
        "confirm done",
        "failed done",
        "prepare done",
        "release done",
        "reserve done",
        "ship refused",
        "void done",
      ],
    },
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
    const trace = await traced.trace(orderId, cases[0].expected);
    for (const service of ["orders", "payments", "inventory", "shipping"]) {
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
    ]);
  });
});
