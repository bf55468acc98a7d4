// biome-ignore lint/plugin/files: the bundle, where the image is built
import { writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { bundleWorkflowCode, DefaultLogger, type WorkflowBundleOption } from "@temporalio/worker";
import { failureConverterPath } from "../payloads/data-converter.ts";
import { BundleCache, bundleKey } from "./bundle-cache.ts";
import type { TemporalConfig } from "./temporal-config.ts";

/** The folder of the workflows. */
export const workflows = new URL("../workflows/", import.meta.url);
/** What the workflows import from outside of their folder, besides packages: files that import nothing. */
export const sharedSources = ["trace-parent.ts", "money/allotment.ts", "money/apportion.ts"].map(
  (file) => new URL(`../../../platform/src/${file}`, import.meta.url),
);

const inFolder = (name: string) => fileURLToPath(new URL(name, workflows));

const workflowsPath = inFolder("workflows.ts");
const workflowInterceptorModules = [inFolder("legacy/engine/query-guard.ts"), inFolder("engine/trace-header.ts")];

/**
 * What the bundle is made from: the module whose exports are the workflows, and what goes around them. All of it is loaded once for each thread, and
 * shared by its workflows, so none of it may have state: of 125 KB of memory and 2.2 ms of CPU for each workflow, 14 KB and 0.9 ms are left.
 */
export const bundleSources = {
  workflowsPath,
  workflowInterceptorModules,
  failureConverterPath,
  preloadModules: [...workflowInterceptorModules, workflowsPath],
};

/** Bundles the workflows now, which takes seconds. */
async function bundleNow(): Promise<string> {
  const { code } = await bundleWorkflowCode({ ...bundleSources, logger: new DefaultLogger("WARN") });
  return code;
}

/**
 * The code of the workflows, as they were bundled last time or bundled now.
 *
 * @param folder where bundles are kept; when it is not writable, nothing is kept
 */
export async function bundleFrom(folder: string): Promise<{ code: string }> {
  const key = await bundleKey([workflows, ...sharedSources], [JSON.stringify(bundleSources)]);
  return { code: await new BundleCache(folder).take(key, bundleNow) };
}

/** The workflows that the configuration names: a bundle that was made before, or those of this checkout. */
export async function bundleOf(
  config: Pick<TemporalConfig, "WORKFLOW_BUNDLE" | "WORKFLOW_BUNDLE_FOLDER">,
): Promise<WorkflowBundleOption> {
  const { WORKFLOW_BUNDLE: codePath, WORKFLOW_BUNDLE_FOLDER: folder } = config;
  return codePath === undefined ? await bundleFrom(folder) : { codePath };
}

/** `node bundle.ts <file>` writes the bundle for WORKFLOW_BUNDLE. */
if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [, , target] = process.argv;
  if (target === undefined) throw new Error("say where to write the bundle: node bundle.ts <file>");
  await writeFile(target, await bundleNow());
}
