// Reads the shape of traces, and makes the orders that tests trace.
import { randomBytes } from "node:crypto";
import type { ReadableSpan } from "@opentelemetry/sdk-trace-base";
import { encodeId } from "#platform/id.ts";
import { runSpan, startBatchSpan, startSpan, traceParentOf } from "#platform/trace/spans.ts";
import { traceIdOf } from "#platform/trace-parent.ts";
import type { SagaOrder } from "../../src/workflows/legacy/order-state.ts";
import { anOrder } from "./harness.ts";

/** An order with an id that says when it was made; traced when it is created in a trace that is kept. */
export function orderOf(age: { ageMs?: number; traced: boolean }): SagaOrder {
  const time = (Date.now() - (age.ageMs ?? 0)).toString(16).padStart(12, "0");
  const orderId = encodeId(`${time}${randomBytes(10).toString("hex")}`);
  const span = age.traced ? startSpan("CreateOrder", { root: true }) : undefined;
  span?.end();
  return anOrder({ orderId, traceparent: traceParentOf(span) });
}

/** Hands a batch over as the orders service does. */
export function dispatched<T>(orders: SagaOrder[], start: () => Promise<T>): Promise<T> {
  return runSpan(
    startBatchSpan(
      "dispatch",
      {},
      orders.map(({ traceparent }) => traceparent),
    ),
    start,
  );
}

/** The trace of an order, as 32 hexadecimal digits. */
export function traceOf({ traceparent }: SagaOrder): string {
  return traceIdOf(traceparent);
}

/** A step span in one line: "authorize refused PAYMENT_DECLINED", with the attempt when it is not the first one. */
export function told({ name, attributes }: ReadableSpan): string {
  const attempt = Number(attributes["ordermesh.attempt"]);
  const parts = [
    name,
    attributes["ordermesh.outcome"],
    attributes["error.type"],
    attempt > 1 && `(attempt ${attempt})`,
  ];
  return parts.filter((part) => part).join(" ");
}

/** The step spans of an order, in the order of their beginnings. */
export function stepsOf(spans: ReadableSpan[], { orderId }: SagaOrder): ReadableSpan[] {
  return spans
    .filter(({ attributes }) => attributes["order.id"] === orderId && attributes["ordermesh.step"] !== undefined)
    .sort((a, b) => a.startTime[0] - b.startTime[0] || a.startTime[1] - b.startTime[1]);
}

/** The spans of activities: one for each attempt of a batch. */
export function batchesOf(spans: ReadableSpan[]): ReadableSpan[] {
  return spans.filter(({ attributes }) => attributes["temporal.activity.local"] !== undefined);
}

/** The spans of workflow tasks. */
export function tasksOf(spans: ReadableSpan[]): ReadableSpan[] {
  return spans.filter(({ attributes }) => attributes["temporal.jobs"] !== undefined);
}

/** The span that a span was made under. */
export function parentOf(spans: ReadableSpan[], { parentSpanContext }: ReadableSpan): ReadableSpan | undefined {
  return spans.find((span) => span.spanContext().spanId === parentSpanContext?.spanId);
}
