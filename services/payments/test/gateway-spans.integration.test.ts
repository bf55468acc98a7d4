import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { type Client, createClient, createRouterTransport } from "@connectrpc/connect";
import { type Attributes, SpanKind, SpanStatusCode } from "@opentelemetry/api";
import type { ReadableSpan } from "@opentelemetry/sdk-trace-base";
import { PaymentService as Descriptor } from "#gen/shop/payments/v1/payment_service_pb.js";
import { newId } from "#platform/id.ts";
import { contextInterceptor } from "#platform/interceptors/context.ts";
import { errorInterceptor } from "#platform/interceptors/errors.ts";
import { PageTokens } from "#platform/page-token.ts";
import { type KeptSpans, keepSpans } from "#testing/kept-spans.ts";
import { PaymentService } from "../src/api/payment-api.ts";
import { GatewayUnavailableError } from "../src/gateway/gateway.ts";
import type { Payments, PaymentsOptions } from "../src/move/money-mover.ts";
import { type Harness, openHarness, until } from "./harness.ts";

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

function connect(options: Partial<PaymentsOptions> = {}): { client: Client<typeof Descriptor>; payments: Payments } {
  const payments = harness.payments(options);
  const service = new PaymentService(payments, harness.repository, new PageTokens("s".repeat(32)));
  const interceptors = [contextInterceptor(30_000), errorInterceptor()];
  const transport = createRouterTransport((router) => router.service(Descriptor, service), {
    router: { interceptors },
  });
  return { client: createClient(Descriptor, transport), payments };
}

function request(cardToken = "tok_approve") {
  const ids = { requestId: newId(), paymentId: newId(), orderId: newId(), customerId: newId() };
  return { ...ids, cardToken, amount: { currency: "EUR", amount: 1000n } };
}

const traceIds = ["a", "b", "c"].map((digit) => digit.repeat(32));
const traceparents = traceIds.map((traceId) => `00-${traceId}-b7ad6b7169203331-01`);

function inTrace(traceId: string | undefined, name: string): ReadableSpan[] {
  return spans.all().filter((span) => span.spanContext().traceId === traceId && span.name === name);
}

test("the call to the gateway belongs to the trace of its order, though orders share a list", async () => {
  const { client } = connect();
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
  const { client } = connect();
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
  const { client } = connect();
  await client.batchAuthorizePayments({ requests: [request(), request()], traceparents: [] });
  await client.authorizePayment(request());
  assert.deepEqual(
    spans.all().map((span) => span.name),
    [],
  );
});

test("an operation that the resolver carries on stays in the trace of its order", async () => {
  const away = () => Promise.reject(new GatewayUnavailableError("no route to the gateway"));
  const gateway = { authorize: away, capture: away, void: away, refund: away, find: away };
  const { client } = connect({ gateway, answerWithinMs: 20, limits: { timeoutMs: 50, inflight: 4 } });
  const asked = request();
  await client.batchAuthorizePayments({ requests: [asked], traceparents: [traceparents[0] ?? ""] });
  await until(async () => inTrace(traceIds[0], "gateway authorize").length > 0);
  const { payments } = connect();
  await until(async () => {
    await harness.expireLeases();
    await payments.resolve();
    return (await harness.operations.backlog()).undecided === 0;
  });
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
  const { simulator } = harness;
  const { client, payments } = connect({
    answerWithinMs: 20,
    gateway: {
      authorize: async (key, body, call) => {
        await gate.promise;
        return simulator.authorize(key, body, call);
      },
      capture: (key, body, call) => simulator.capture(key, body, call),
      void: (key, body, call) => simulator.void(key, body, call),
      refund: (key, body, call) => simulator.refund(key, body, call),
      find: (key, call) => simulator.find(key, call),
    },
  });
  const asked = request();
  await client.batchAuthorizePayments({ requests: [asked], traceparents: [traceparents[0] ?? ""] });
  const { paymentId } = asked;
  const requests = [{ requestId: newId(), paymentId }];
  await client.batchVoidPayments({ requests, traceparents: [traceparents[1] ?? ""] });
  gate.resolve();
  await until(async () => (await harness.operations.backlog()).undecided === 0);
  await payments.drain(1_000);
  assert.equal(inTrace(traceIds[0], "gateway authorize").length, 1);
  assert.equal(inTrace(traceIds[0], "gateway void").length, 0);
  const [sent] = inTrace(traceIds[1], "gateway void");
  assert.equal(sent?.attributes["order.id"], asked.orderId);
});

test("no span has anything of the card", async () => {
  const { client } = connect();
  const requests = ["tok_approve_me", "tok_decline", "tok_error_500"].map(request);
  await client.batchAuthorizePayments({ requests, traceparents });
  const text = JSON.stringify(
    spans.all().map(({ name, attributes, events, status }) => ({ name, attributes, events, status })),
  );
  assert.ok(text.includes("gateway authorize"));
  assert.doesNotMatch(text, /tok_/);
});
