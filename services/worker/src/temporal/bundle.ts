import { writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { bundleWorkflowCode, DefaultLogger } from "@temporalio/worker";
import { BundleCache, bundleKey } from "./bundle-cache.ts";

const workflows = new URL("../workflows/", import.meta.url);
const inFolder = (name: string) => fileURLToPath(new URL(name, workflows));

/** What the bundle is made from: the module whose exports are the workflows, and what goes around them. */
export const bundleSources = {
  workflowsPath: inFolder("process-orders.ts"),
  workflowInterceptorModules: [inFolder("engine/query-guard.ts"), inFolder("engine/trace-header.ts")],
  preloadModules: [inFolder("engine/stack-traces.ts")],
};

/** Bundles the workflows now, which takes seconds. */
async function bundleNow(): Promise<string> {
  const { code } = await bundleWorkflowCode({ ...bundleSources, logger: new DefaultLogger("WARN") });
  return code;
}

/** The folder in which bundles are kept unless the configuration names one. */
export const bundleFolder = fileURLToPath(
  new URL("../../../../node_modules/.cache/ordermesh-workflows", import.meta.url),
);

/**
 * The code of the workflows, as they were bundled last time or bundled now.
 *
 * @param folder where bundles are kept; when it is not writable, nothing is kept
 */
export async function bundleFrom(folder: string): Promise<{ code: string }> {
  const key = await bundleKey(workflows, [JSON.stringify(bundleSources)]);
  return { code: await new BundleCache(folder).take(key, bundleNow) };
}

/** `node bundle.ts <file>` writes the bundle for WORKFLOW_BUNDLE. */
if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [, , target] = process.argv;
  if (target === undefined) throw new Error("say where to write the bundle: node bundle.ts <file>");
  await writeFile(target, await bundleNow());
}
