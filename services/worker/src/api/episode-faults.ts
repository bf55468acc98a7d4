import { ApplicationFailure, type Payload, type ProtoFailure } from "@temporalio/common";
import protos from "@temporalio/proto";
import { notSettled, type OrderFault } from "../workflows/order-state.ts";
import type { TemporalCalls } from "./temporal-calls.ts";

/** The last workflow task, and what came while it failed. */
const lastEvents = 64;
const nonDeterministic =
  protos.temporal.api.enums.v1.WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_NON_DETERMINISTIC_ERROR;
/** Longest error that is told. */
const maxError = 300;

/** One run of a workflow. */
interface Execution {
  readonly workflowId: string;
  readonly runId: string;
}

/**
 * What the code of a workflow that is closed failed with: with some of its orders, and then these are named, or with its last
 * task, over and over, until it was terminated or its time was over. Nothing for one that merely was not carried on: somebody
 * terminated it, no worker was there, or it did not do what its history says, for which no order is to blame.
 */
export async function readFaults(calls: TemporalCalls, execution: Execution): Promise<OrderFault[]> {
  for (const event of await readLast(calls, execution)) {
    const { workflowExecutionFailedEventAttributes: end, workflowTaskFailedEventAttributes: task } = event;
    const failure = end?.failure ?? task?.failure;
    if (task?.cause === nonDeterministic) return [];
    if (failure) {
      const error = await readFailure(calls, failure).catch(() => undefined);
      // What nobody can decrypt blames no order: all are carried again.
      if (!error) return [];
      return end ? ofOrders(error) : [anyOrder(error)];
    }
    if (event.workflowTaskCompletedEventAttributes) break;
  }
  return [];
}

/** Whether the last task of a workflow that runs fails because it does not do what its history says. */
export async function contradictsItself(calls: TemporalCalls, execution: Execution): Promise<boolean> {
  for (const event of await readLast(calls, execution)) {
    const { workflowTaskFailedEventAttributes: task, workflowTaskCompletedEventAttributes: done } = event;
    if (task || done) return task?.cause === nonDeterministic;
  }
  return false;
}

/** The last events of a workflow, the latest first. */
async function readLast(calls: TemporalCalls, execution: Execution) {
  const { client } = calls;
  const request = { namespace: client.options.namespace, execution, maximumPageSize: lastEvents };
  const { history } = await calls.within(() => client.workflowService.getWorkflowExecutionHistoryReverse(request));
  return history?.events ?? [];
}

/** A failure by itself, without its causes, as the code threw it: what it says is a payload like any other. */
async function readFailure({ client }: TemporalCalls, failure: ProtoFailure): Promise<Error> {
  const { payloadCodecs, payloadConverter, failureConverter } = client.options.loadedDataConverter;
  const decoded = async (payloads: Payload[] | null | undefined) => {
    let plain = payloads ?? [];
    for (const codec of payloadCodecs.toReversed()) plain = await codec.decode(plain);
    return plain;
  };
  const { encodedAttributes, applicationFailureInfo: info } = failure;
  const [attributes] = await decoded(encodedAttributes ? [encodedAttributes] : []);
  const details = { payloads: await decoded(info?.details?.payloads) };
  const alone = { ...failure, cause: null, encodedAttributes: attributes ?? null };
  const readable = info ? { ...alone, applicationFailureInfo: { ...info, details } } : alone;
  return failureConverter.failureToError(readable, payloadConverter);
}

/** A workflow of the version before does not say which orders it failed with: that may have been nobody's fault. */
function ofOrders(error: Error): OrderFault[] {
  if (!(error instanceof ApplicationFailure) || error.type !== notSettled) return [anyOrder(error)];
  const [faults] = (error.details ?? []) as [OrderFault[]?];
  return faults ?? [];
}

function anyOrder({ message }: Error): OrderFault {
  return { orderId: "", error: message.replaceAll("\u0000", "").slice(0, maxError) };
}
