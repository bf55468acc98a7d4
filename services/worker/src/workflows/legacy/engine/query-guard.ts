import type { WorkflowInterceptors } from "@temporalio/workflow";
import { isLocalCallRunning } from "../../engine/local-calls.ts";

/**
 * Keeps queries away from local activities; see `LocalCalls`. When the first workflow task came by way of the task queue
 * it may carry a query. That task then fails, and its next attempt, which makes no local calls, answers the query. A
 * workflow that was started eagerly never gets here.
 */
export const interceptors = (): WorkflowInterceptors => ({
  internals: [
    {
      activate(input, next) {
        const isQuery = input.activation.jobs?.some(({ queryWorkflow }) => queryWorkflow) ?? false;
        if (isQuery && isLocalCallRunning()) throw new Error("a query came while a local activity runs; trying again");
        next(input);
      },
    },
  ],
});
