import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { type Attributes, SpanKind, SpanStatusCode } from "@opentelemetry/api";
import type { ReadableSpan } from "@opentelemetry/sdk-trace-base";
import { newId } from "#platform/id.ts";
import { type KeptSpans, keepSpans } from "#testing/kept-spans.ts";
import { until } from "#testing/until.ts";
import { connect, gatewayWith, type Harness, openHarness, unreachable } from "./harness.ts";

let harness: Harness;
let spans: KeptSpans;
before(async () => {
  harness = await openHarness();
  spans = await keepSpans(0);
});
beforeEach(() => spans.reset());
after(async () => {
  await spans.stop();
  await harness[Symbol.asyncDispose]();
});

function request(cardToken = "tok_approve") {
  const ids = { requestId: newId(), paymentId: newId(), orderId: newId(), customerId: newId() };
  return { ...ids, cardToken, amount: { currency: "EUR", amount: 1000n } };
}

const traceIds = ["a", "b", "c"].map((digit) => digit.repeat(32));
const traceparents = traceIds.map((traceId) => `00-${traceId}-b7ad6b7169203331-01`);

function inTrace(traceId: string | undefined, name: string): ReadableSpan[] {
  return spans.all().filter((span) => span.spanContext().traceId === traceId && span.name === name);
}

test("the call to the gateway belongs to the trace of its order, though orders share a batch", async () => {
  const client = connect(harness.process());
  const cards = ["tok_approve", "tok_decline", "tok_timeout_after_success"];
  const requests = cards.map(request);
  await client.batchAuthorizePayments({ requests, traceparents });
  const seen: Attributes[] = [];
  for (const [index, traceId] of traceIds.entries()) {
    const [entry] = inTrace(traceId, "AuthorizePayment");
    const [call] = inTrace(traceId, "gateway authorize");
    assert.ok(entry && call);
    assert.equal(call.kind, SpanKind.CLIENT);
    assert.equal(call.parentSpanContext?.spanId, entry.spanContext().spanId);
    const { orderId, paymentId } = requests[index] ?? {};
    const { "operation.id": _, ...rest } = call.attributes;
    seen.push(rest);
    assert.deepEqual([rest["order.id"], rest["payment.id"]], [orderId, paymentId]);
  }
  assert.deepEqual(
    seen.map((attributes) => [attributes["peer.service"], attributes["ordermesh.outcome"], attributes["error.type"]]),
    [
      ["card-gateway", "done", undefined],
      ["card-gateway", "refused", "card_declined"],
      ["card-gateway", "failed", "GatewayAmbiguousError"],
    ],
  );
  const [lost] = inTrace(traceIds[2], "gateway authorize");
  assert.equal(lost?.status.code, SpanStatusCode.ERROR);
  const [asked] = inTrace(traceIds[2], "gateway find");
  assert.equal(asked?.attributes["ordermesh.outcome"], "done");
});

test("a change of a payment names the order that it is for", async () => {
  const client = connect(harness.process());
  const asked = request();
  await client.authorizePayment(asked);
  const { paymentId } = asked;
  const [first = "", second = ""] = traceparents;
  await client.batchCapturePayments({
    requests: [{ requestId: newId(), paymentId, amount: { currency: "EUR", amount: 400n } }],
    traceparents: [first],
  });
  await client.batchVoidPayments({ requests: [{ requestId: newId(), paymentId }], traceparents: [second] });
  const entries = [...inTrace(traceIds[0], "CapturePayment"), ...inTrace(traceIds[1], "VoidPayment")];
  assert.deepEqual(
    entries.map(({ attributes }) => [attributes["order.id"], attributes["payment.id"]]),
    [
      [asked.orderId, paymentId],
      [asked.orderId, paymentId],
    ],
  );
});

test("what is not traced makes no span", async () => {
  const client = connect(harness.process());
  await client.batchAuthorizePayments({ requests: [request(), request()], traceparents: [] });
  await client.authorizePayment(request());
  assert.deepEqual(
    spans.all().map((span) => span.name),
    [],
  );
});

test("an operation that the resolver carries on stays in the trace of its order", async () => {
  const config = { PAYMENTS_ANSWER_WITHIN_MS: 20, GATEWAY_TIMEOUT_MS: 50, GATEWAY_MAX_INFLIGHT: 4 };
  const away = harness.process({ gateway: unreachable(), config });
  const asked = request();
  await connect(away).batchAuthorizePayments({ requests: [asked], traceparents: [traceparents[0] ?? ""] });
  await until(() => inTrace(traceIds[0], "gateway authorize").length > 0, "the gateway is called");
  await away.mover.drain(0);
  await harness.resolveAll(harness.mover());
  const [entry] = inTrace(traceIds[0], "AuthorizePayment");
  const resumed = inTrace(traceIds[0], "resume authorize").at(-1);
  const sent = inTrace(traceIds[0], "gateway authorize").at(-1);
  assert.equal(resumed?.parentSpanContext?.spanId, entry?.spanContext().spanId);
  assert.equal(resumed?.attributes["payment.id"], asked.paymentId);
  assert.equal(sent?.parentSpanContext?.spanId, resumed?.spanContext().spanId);
  assert.equal(sent?.attributes["ordermesh.outcome"], "done");
});

test("a void that had to wait for the authorization goes in the trace of who asked for it", async () => {
  const gate = Promise.withResolvers<void>();
  const gateway = gatewayWith(harness, {
    execute: async (operation, call) => {
      if (operation.kind === "authorize") await gate.promise;
      return harness.gateway.execute(operation, call);
    },
  });
  const held = harness.process({ gateway, config: { PAYMENTS_ANSWER_WITHIN_MS: 20 } });
  const client = connect(held);
  const asked = request();
  await client.batchAuthorizePayments({ requests: [asked], traceparents: [traceparents[0] ?? ""] });
  const { paymentId } = asked;
  const requests = [{ requestId: newId(), paymentId }];
  await client.batchVoidPayments({ requests, traceparents: [traceparents[1] ?? ""] });
  gate.resolve();
  await until(async () => (await harness.operations.backlog()).undecided === 0, "both are decided");
  await held.mover.drain(1_000);
  assert.equal(inTrace(traceIds[0], "gateway authorize").length, 1);
  assert.equal(inTrace(traceIds[0], "gateway void").length, 0);
  const [sent] = inTrace(traceIds[1], "gateway void");
  assert.equal(sent?.attributes["order.id"], asked.orderId);
});

test("no span has anything of the card", async () => {
  const client = connect(harness.process());
  const requests = ["tok_approve_me", "tok_decline", "tok_error_500"].map(request);
  await client.batchAuthorizePayments({ requests, traceparents });
  const text = JSON.stringify(
    spans.all().map(({ name, attributes, events, status }) => ({ name, attributes, events, status })),
  );
  assert.ok(text.includes("gateway authorize"));
  assert.doesNotMatch(text, /tok_/);
});
