import { timeOf } from "#platform/id.ts";
import { resumeTrace, runSpan, startBatchSpan } from "#platform/trace/spans.ts";
import type { SagaList } from "../order/order.ts";

const name = "dispatch";

/**
 * Runs the handing over of a list in its trace. A list of one belongs to its order's trace, as long as that is young; one
 * of several has a trace of its own that is linked to those of its orders, and is kept when one of theirs is.
 */
export function inDispatchTrace<T>({ sagaId, orders }: SagaList, work: () => Promise<T>): Promise<T> {
  const attributes = { "saga.id": sagaId, "ordermesh.list.size": orders.length };
  const [first, ...others] = orders;
  if (first && others.length === 0) {
    const { orderId, traceparent } = first;
    const options = { name, attributes: { ...attributes, "order.id": orderId } };
    return resumeTrace({ traceparent, time: timeOf(orderId) }, options, work);
  }
  const traceparents = orders.map(({ traceparent }) => traceparent);
  return runSpan(startBatchSpan(name, { attributes }, traceparents), work);
}
