import { setTimeout as delay } from "node:timers/promises";
import type { Order } from "#gen/shop/orders/v1/order_pb.js";
import { call } from "../../deploy/observability/elk/setup/client.ts";
import { traceUrl } from "../observers/jaeger.ts";
import { edgesOf, JaegerQuery, type JaegerTrace, untilSeen } from "../observers/jaeger-query.ts";
import { localNamespace } from "../observers/prometheus-configuration.ts";
import type { Stack } from "../stack/stack.ts";
import type { Kind } from "./kinds.ts";

/** What one signal knows of an order: where a person looks, and what is there; nothing found is a fault. */
export interface Sight {
  readonly where: string;
  readonly what: string;
  readonly found: boolean;
}

/** Everything that is known of one order. */
export interface Evidence {
  readonly trace: Sight;
  readonly logs: Sight;
  readonly metrics: readonly Sight[];
}

/** Spans, lines and samples are on their way for some seconds; a busy machine takes its time. */
const arriveWithinMs = 45_000;
const answerWithinMs = 10_000;
/** Longer than spans wait in a process; see the stack's environment. */
const settleMs = 1_500;

/** Looks an order up in Jaeger, Elasticsearch and Prometheus; waits while something is still on its way. */
export async function lookUp(stack: Stack, kind: Kind, { orderId }: Order): Promise<Evidence> {
  const [{ trace, traceId }, metrics] = await Promise.all([
    lookUpTrace(stack, orderId),
    Promise.all(kind.queries.map((query) => lookUpMetric(stack, query))),
  ]);
  return { trace, logs: await lookUpLogs(stack, orderId, traceId), metrics };
}

async function lookUpTrace(stack: Stack, orderId: string): Promise<{ trace: Sight; traceId: string }> {
  const jaeger = new JaegerQuery(stack.observerUrl("jaeger"));
  let spans = 0;
  // The order has ended: once nothing was added between two looks, its last spans are there.
  const isWhole = (trace: JaegerTrace) => {
    const before = spans;
    spans = trace.spans.length;
    return spans === before && edgesOf(trace).length > 0;
  };
  const look = async () => {
    await delay(settleMs);
    return jaeger.orderTrace(orderId);
  };
  const found = await orUndefined(untilSeen(look, isWhole, arriveWithinMs));
  const traceId = found?.traceID ?? "";
  const where = found ? await traceUrl(jaeger.url, traceId) : jaeger.url;
  const services = found ? new Set(edgesOf(found).flatMap((edge) => edge.split(" → "))) : new Set();
  const what = found ? `${found.spans.length} spans, ${[...services].sort().join(", ")}` : `no trace of ${orderId}`;
  return { traceId, trace: { where, what, found: found !== undefined } };
}

async function lookUpLogs(stack: Stack, orderId: string, traceId: string): Promise<Sight> {
  const url = stack.observerUrl("elasticsearch");
  // What services wrote, and the audit log, which is a stream of its own.
  const streams = `logs-ordermesh*-${localNamespace}`;
  const count = async (field: string, value: string) => {
    await call({ url }, { method: "POST", path: `/${streams}/_refresh?ignore_unavailable=true` });
    const body = JSON.stringify({ query: { term: { [field]: value } } });
    const answer = await call({ url }, { method: "POST", path: `/${streams}/_count?ignore_unavailable=true`, body });
    return (answer as { count: number }).count;
  };
  const some = (field: string, value: string) =>
    orUndefined(
      untilSeen(
        () => count(field, value),
        (lines) => lines > 0,
        arriveWithinMs,
      ),
    );
  const [byOrder = 0, byTrace = 0] = await Promise.all([
    some("order.id", orderId),
    traceId === "" ? 0 : some("trace.id", traceId),
  ]);
  return {
    where: `${url}/${streams}/_search?q=order.id:${orderId}&sort=@timestamp&size=1000`,
    what: `${byOrder} lines, ${byTrace} by its trace.id`,
    found: byOrder > 0 && byTrace > 0,
  };
}

async function lookUpMetric(stack: Stack, query: string): Promise<Sight> {
  const url = stack.observerUrl("prometheus");
  const ask = async () => {
    const answer = await fetch(`${url}/api/v1/query?${new URLSearchParams({ query })}`, {
      signal: AbortSignal.timeout(answerWithinMs),
    });
    const { data } = (await answer.json()) as { data?: { result: { value: [number, string] }[] } };
    return Number(data?.result[0]?.value[1] ?? Number.NaN);
  };
  const value = await orUndefined(untilSeen(ask, (number) => number > 0, arriveWithinMs));
  return { where: query, what: value === undefined ? "nothing" : rounded(value), found: value !== undefined };
}

function rounded(value: number): string {
  return Number.isInteger(value) ? String(value) : value.toPrecision(3);
}

function orUndefined<T>(work: Promise<T>): Promise<T | undefined> {
  return work.catch(() => undefined);
}
