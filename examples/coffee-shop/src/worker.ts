import { fileURLToPath } from "node:url";
import { type NativeConnection, Worker } from "@temporalio/worker";
import { type CoffeeParts, createActivities } from "./activities.ts";

/** The coffee shop's own: the product's workers know nothing of it. */
export const taskQueue = "coffee-shop";

/** A worker for orders of coffee. */
export function coffeeWorker(connection: NativeConnection, parts: CoffeeParts): Promise<Worker> {
  return Worker.create({
    connection,
    taskQueue,
    workflowsPath: fileURLToPath(import.meta.resolve("./workflow.ts")),
    activities: createActivities(parts),
    // How soon a barista is told that nobody wants the cup any more, and how many steps are made again after a crash.
    maxHeartbeatThrottleInterval: "500 milliseconds",
  });
}
