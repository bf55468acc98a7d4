import { defaultPayloadConverter, fromPayloadsAtIndex, type ProtoFailure } from "@temporalio/common";
import { notSettled, type OrderFault } from "../workflows/order-state.ts";
import type { TemporalCalls } from "./temporal-calls.ts";

/** The last workflow task, and what came while it failed. */
const lastEvents = 64;
/** Longest error that is told. */
const maxError = 300;

/**
 * What the code of a workflow that is closed failed with: with some of its orders, and then these are named, or with its last
 * task, over and over, until it was terminated or its time was over. Nothing for one that merely was not carried on: somebody
 * terminated it, or no worker was there.
 */
export async function readFaults(
  calls: TemporalCalls,
  execution: { workflowId: string; runId: string },
): Promise<OrderFault[]> {
  const { client } = calls;
  const request = { namespace: client.options.namespace, execution, maximumPageSize: lastEvents };
  const { history } = await calls.within(() => client.workflowService.getWorkflowExecutionHistoryReverse(request));
  for (const event of history?.events ?? []) {
    const { workflowExecutionFailedEventAttributes: end, workflowTaskFailedEventAttributes: task } = event;
    if (end?.failure) return ofOrders(end.failure);
    if (task?.failure) return [anyOrder(task.failure)];
    if (event.workflowTaskCompletedEventAttributes) break;
  }
  return [];
}

/** A workflow of the version before does not say which orders it failed with: that may have been nobody's fault. */
function ofOrders(failure: ProtoFailure): OrderFault[] {
  const { type, details } = failure.applicationFailureInfo ?? {};
  if (type !== notSettled) return [anyOrder(failure)];
  const payloads = details?.payloads ?? [];
  return payloads.length === 0 ? [] : fromPayloadsAtIndex<OrderFault[]>(defaultPayloadConverter, 0, payloads);
}

function anyOrder({ message }: ProtoFailure): OrderFault {
  return { orderId: "", error: (message ?? "").replaceAll("\u0000", "").slice(0, maxError) };
}
