import { writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { bundleWorkflowCode, DefaultLogger, type WorkflowBundleOption } from "@temporalio/worker";

const inFolder = (name: string) => fileURLToPath(new URL(`./workflows/${name}`, import.meta.url));

/** What the bundle is made from: the module whose exports are the workflows, and what goes around them. */
export const bundleSources = {
  workflowsPath: inFolder("process-orders.ts"),
  workflowInterceptorModules: [inFolder("query-guard.ts")],
  preloadModules: [inFolder("stack-traces.ts")],
};

/** The code of the workflows as the worker runs it: from a file, or bundled now, which takes a second or two. */
export async function workflowBundle(path: string | undefined): Promise<WorkflowBundleOption> {
  return path === undefined ? bundleNow() : { codePath: path };
}

function bundleNow() {
  return bundleWorkflowCode({ ...bundleSources, logger: new DefaultLogger("WARN") });
}

/** `node bundle.ts <file>` writes the bundle for WORKFLOW_BUNDLE. */
if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [, , target] = process.argv;
  if (target === undefined) throw new Error("say where to write the bundle: node bundle.ts <file>");
  const { code } = await bundleNow();
  await writeFile(target, code);
}
