/** A worker in a process of its own, to be killed: `node worker-process.ts <temporal> <shop> <bundle>`. */
import { createConnectTransport } from "@connectrpc/connect-node";
import { DefaultLogger, NativeConnection, Runtime, Worker } from "@temporalio/worker";
import { createActivities } from "../src/activities/create-activities.ts";
import { clientsOver, fastLong, taskQueue } from "./harness.ts";

const [, , address = "", baseUrl = "", codePath = ""] = process.argv;
// Without its parent there is nobody to end it.
process.on("disconnect", () => process.exit());

Runtime.install({ logger: new DefaultLogger("ERROR") });
const worker = await Worker.create({
  connection: await NativeConnection.connect({ address }),
  taskQueue,
  workflowBundle: { codePath },
  activities: createActivities(clientsOver(createConnectTransport({ baseUrl, httpVersion: "2" })), fastLong),
  stickyQueueScheduleToStartTimeout: "500ms",
});
process.send?.("ready");
await worker.run();
