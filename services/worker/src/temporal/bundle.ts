// biome-ignore lint/plugin/files: the bundle, where the image is built
import { writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { type BundleOptions, bundleWorkflowCode, DefaultLogger, type WorkflowBundleOption } from "@temporalio/worker";
import { failureConverterPath } from "../payloads/data-converter.ts";
import { BundleCache, bundleKey } from "./bundle-cache.ts";
import type { TemporalConfig } from "./temporal-config.ts";

/** The folder of the workflows. */
export const workflows = new URL("../workflows/", import.meta.url);
/** What the workflows import from outside of their folder, besides packages: files that import nothing. */
export const sharedSources = ["trace-parent.ts", "money/allotment.ts", "money/apportion.ts"].map(
  (file) => new URL(`../../../platform/src/${file}`, import.meta.url),
);

/** The version of ECMAScript that workflows are compiled for. */
const target = "es2023";

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

/** The settings of webpack. */
type Webpack = Parameters<NonNullable<BundleOptions["webpackConfigHook"]>>[0];

/** What of the SDK's rules for webpack says how TypeScript is compiled. */
interface SwcRule {
  readonly use?: { readonly options?: { readonly jsc?: { target: string } } };
}

/** The SDK compiles for ES2017, in which private fields are maps, and spreading is a function: a fifth of what a workflow's thread did. */
function forThisNode(config: Webpack): Webpack {
  const rules = (config.module?.rules ?? []) as readonly SwcRule[];
  const options = rules.map(({ use }) => use?.options?.jsc).filter((jsc) => jsc !== undefined);
  if (options.length === 0) throw new Error("Temporal's SDK compiles workflows in another way than it did");
  for (const jsc of options) jsc.target = target;
  return config;
}

/** Bundles the workflows now, which takes seconds. */
async function bundleNow(): Promise<string> {
  const logger = new DefaultLogger("WARN");
  const { code } = await bundleWorkflowCode({ ...bundleSources, webpackConfigHook: forThisNode, logger });
  return code;
}

/**
 * The code of the workflows, as they were bundled last time or bundled now.
 *
 * @param folder where bundles are kept; when it is not writable, nothing is kept
 */
export async function bundleFrom(folder: string): Promise<{ code: string }> {
  const key = await bundleKey([workflows, ...sharedSources], [JSON.stringify(bundleSources), target]);
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
