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

/**
 * Shows how many orders in workflows of the kind before episodes wait for an operator, as Temporal's visibility knows it: so it
 * is true from the start of a process on, and the same in each replica. When Temporal does not answer, the last answer stays.
 * Those that rest are shown by orders, which has them in its rows.
 */
export function showParkedSteps(registry: Registry, client: Client, logger: Pick<Logger, "debug">): void {
  let asked = Number.NEGATIVE_INFINITY;
  new Gauge({
    name: "saga_parked_steps",
    help: "Orders in workflows of the kind before episodes of which a step waits for an operator. Every replica shows all of them.",
    registers: [registry],
    async collect() {
      if (performance.now() - asked < freshMs) return;
      asked = performance.now();
      try {
        this.set(await countParked(client));
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
