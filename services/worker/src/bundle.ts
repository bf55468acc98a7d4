import { writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { bundleWorkflowCode, DefaultLogger, type WorkflowBundleOption } from "@temporalio/worker";

/** The module whose exports are the workflows. */
export const workflowsPath = fileURLToPath(new URL("./workflows/process-orders.ts", import.meta.url));

/** The code of the workflows as the worker runs it: from a file, or bundled now, which takes a second or two. */
export async function workflowBundle(path: string | undefined): Promise<WorkflowBundleOption> {
  return path === undefined ? bundleNow() : { codePath: path };
}

function bundleNow() {
  return bundleWorkflowCode({ workflowsPath, logger: new DefaultLogger("WARN") });
}

/** `node bundle.ts <file>` writes the bundle for WORKFLOW_BUNDLE. */
if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [, , target] = process.argv;
  if (target === undefined) throw new Error("say where to write the bundle: node bundle.ts <file>");
  const { code } = await bundleNow();
  await writeFile(target, code);
}
