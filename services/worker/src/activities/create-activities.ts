import { type Activities, type StepName, steps } from "./all-steps.ts";
import { asActivity } from "./attempt.ts";
import { inventoryWorks } from "./inventory.ts";
import type { LongBatchPolicy } from "./long-batch.ts";
import type { SagaMetrics } from "./metrics.ts";
import { orderWorks } from "./orders.ts";
import { paymentWorks } from "./payments.ts";
import { shippingWorks } from "./shipping.ts";
import type { ServiceClients, StepWorks } from "./step-work.ts";

const works: StepWorks = { ...inventoryWorks, ...paymentWorks, ...orderWorks, ...shippingWorks };

/** The activities of the saga. Each takes a batch, makes one call of a service, and answers for each entry. */
export function createActivities(clients: ServiceClients, long: LongBatchPolicy, metrics: SagaMetrics): Activities {
  const activityOf = <N extends StepName>(name: N) =>
    asActivity(name, metrics, (entries) => works[name](clients, entries, long));
  const names = Object.keys(steps) as StepName[];
  return Object.fromEntries(names.map((name) => [name, activityOf(name)])) as Activities;
}
