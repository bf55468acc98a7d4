import type { Client } from "@temporalio/client";
import { defaultPayloadConverter } from "@temporalio/common";
import { Gauge, type Registry } from "prom-client";
import type { Logger } from "#platform/log/logger.ts";
import { parkedOrderIdsAttribute, parkedQuery as query } from "../workflows/engine/search-attributes.ts";

type Execution = Awaited<ReturnType<Client["workflowService"]["listWorkflowExecutions"]>>["executions"][number];

/** Workflows whose parked orders are counted one by one. */
const countedWorkflows = 200;
/** How long counting them may take, in milliseconds: a scrape waits for it. */
const timeoutMs = 1_000;
/** Scrapes that come sooner share an answer, in milliseconds. */
const freshMs = 5_000;

/** The rows of orders, as far as they are counted. */
export interface ParkedRows {
  /** How many orders wait for an operator. @throws when orders does not answer in time */
  countParked(timeoutMs: number): Promise<number>;
}

/**
 * Shows how many orders wait for an operator, as their rows and, for sagas of the kind before episodes, Temporal's visibility
 * know it: so it is true from the start of a process on, and the same in each replica. When one of them does not answer, the
 * last answer stays.
 */
export function showParkedSteps(
  registry: Registry,
  { client, rows }: { client: Client; rows: ParkedRows },
  logger: Pick<Logger, "debug">,
): void {
  let asked = Number.NEGATIVE_INFINITY;
  new Gauge({
    name: "saga_parked_steps",
    help: "Steps that wait for an operator, counted once for each order. Every replica shows all of them.",
    registers: [registry],
    async collect() {
      if (performance.now() - asked < freshMs) return;
      asked = performance.now();
      try {
        const [ofRows, ofWorkflows] = await Promise.all([rows.countParked(timeoutMs), countParked(client)]);
        this.set(ofRows + ofWorkflows);
      } catch (err) {
        logger.debug("the parked steps could not be counted", { err });
      }
    },
  });
}

/**
 * How many orders wait for an operator. Exact for up to 200 workflows that have such orders; of those beyond, each counts
 * as one. Never more than two calls. @throws when Temporal does not answer within a second
 */
export function countParked(client: Client): Promise<number> {
  const { namespace } = client.options;
  return client.withDeadline(Date.now() + timeoutMs, async () => {
    const page = await client.workflowService.listWorkflowExecutions({ namespace, query, pageSize: countedWorkflows });
    const orders = page.executions.reduce((sum, execution) => sum + parkedOrdersOf(execution), 0);
    if (!page.nextPageToken?.length) return orders;
    const { count } = await client.workflowService.countWorkflowExecutions({ namespace, query });
    return orders + Math.max(0, Number(count) - page.executions.length);
  });
}

/** How many orders the search attribute of a workflow names. */
function parkedOrdersOf({ searchAttributes }: Execution): number {
  const payload = searchAttributes?.indexedFields?.[parkedOrderIdsAttribute.name];
  if (!payload) return 0;
  const orderIds: unknown = defaultPayloadConverter.fromPayload(payload);
  return Array.isArray(orderIds) ? orderIds.length : 1;
}
