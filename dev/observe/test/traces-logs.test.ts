import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { OrderStatus } from "#gen/shop/orders/v1/order_pb.js";
import { call } from "../../../deploy/observability/elk/setup/client.ts";
import { untilSeen } from "../../observers/jaeger-query.ts";
import { localNamespace } from "../../observers/prometheus-configuration.ts";
import { TracedStack } from "./traces-stack.ts";

/** A line of a log as it is stored. */
interface Line {
  readonly _source: { readonly message: string; readonly order?: { id?: string }; readonly trace?: { id?: string } };
}

/** Filebeat looks for new files every second and sends every half; a busy machine takes its time. */
const arriveWithinMs = 60_000;

describe("the log lines of a real run", () => {
  let traced: TracedStack;
  before(async () => {
    traced = await TracedStack.start({ besides: ["elasticsearch", "filebeat"] });
  });
  after(() => traced?.stop());

  async function search(query: object): Promise<readonly Line[]> {
    const url = traced.stack.observerUrl("elasticsearch");
    // What services wrote, and the audit log, which is a stream of its own.
    const streams = `logs-ordermesh*-${localNamespace}`;
    await call({ url }, { method: "POST", path: `/${streams}/_refresh?ignore_unavailable=true` });
    const path = `/${streams}/_search?ignore_unavailable=true`;
    const answer = await call({ url }, { method: "POST", path, body: JSON.stringify({ query, size: 1_000 }) });
    return (answer as { hits: { hits: Line[] } }).hits.hits;
  }

  for (const [name, wish, status] of [
    ["a delivered order", {}, OrderStatus.DELIVERED],
    ["a declined order", { cardToken: "tok_decline" }, OrderStatus.REJECTED],
  ] as const) {
    test(`those of ${name} are found by its id and by the trace that Jaeger knows`, async () => {
      const orderId = await traced.place(wish);
      await traced.reaches(orderId, status);
      const { traceID } = await untilSeen(
        () => traced.jaeger.orderTrace(orderId),
        () => true,
        arriveWithinMs,
      );
      const byTrace = () => search({ term: { "trace.id": traceID } });
      const lines = await untilSeen(byTrace, (found) => found.length > 0, arriveWithinMs);
      for (const { _source } of lines) assert.equal(_source.order?.id, orderId, _source.message);
      const byOrder = await untilSeen(
        () => search({ term: { "order.id": orderId } }),
        (found) => found.length >= lines.length,
        arriveWithinMs,
      );
      for (const { _source } of byOrder) assert.equal(_source.trace?.id, traceID, _source.message);
    });
  }
});
