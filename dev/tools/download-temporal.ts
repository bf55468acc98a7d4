// Lets the Temporal SDK download one of its servers: `download-temporal.ts temporal|temporal-test-server <folder>`.
// The SDK downloads only when it starts the server, so it is started and stopped. Prints the program's path.
// A process of its own, because the SDK's download cannot be cancelled.
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { TestWorkflowEnvironment } from "@temporalio/testing";
import { downloads } from "./versions.ts";

const [name, folder] = process.argv.slice(2);
if (!folder || (name !== "temporal" && name !== "temporal-test-server")) {
  throw new Error("usage: download-temporal.ts temporal|temporal-test-server <folder>");
}
const executable = { type: "cached-download", downloadDir: folder, version: downloads[name] } as const;
const environment =
  name === "temporal"
    ? await TestWorkflowEnvironment.createLocal({ server: { executable } })
    : await TestWorkflowEnvironment.createTimeSkipping({ server: { executable } });
await environment.teardown();
const file = (await readdir(folder)).find((entry) => entry.startsWith("temporal"));
if (!file) throw new Error(`the SDK left nothing in ${folder}`);
console.log(join(folder, file));
