// Run by each thread in which workflows run, before Temporal's own code; see `workflow-threads.ts`.
import v8 from "node:v8";
// biome-ignore lint/plugin/files: runs one line, which is in this file
import vm from "node:vm";
import { BaseVMWorkflow } from "@temporalio/worker/lib/workflow/vm-shared.js";

// Whoever asks for hooks of promises gets none.
v8.promiseHooks.createHook = () => () => undefined;

const { runInContext } = vm.Script.prototype;
const { activate } = BaseVMWorkflow.prototype;

/** How long the SDK lets a script take, in milliseconds; undefined before it has said so. */
let limitMs: number | undefined;
let work: (() => unknown) | undefined;

const name = "ordermeshWork";
Object.defineProperty(globalThis, name, { value: () => work?.() });
// biome-ignore lint/plugin/code: calls what stands above
const doWork = new vm.Script(`${name}()`);

/** Does something within the SDK's limit, as one script. @throws ERR_SCRIPT_EXECUTION_TIMEOUT, which ends what takes longer wherever it is */
function limited<T>(wanted: () => T): T {
  work = wanted;
  try {
    return doWork.runInThisContext(limitMs === undefined ? {} : { timeout: limitMs });
  } finally {
    work = undefined;
  }
}

vm.Script.prototype.runInContext = function (context, options) {
  const { timeout, ...others } = typeof options === "object" ? options : {};
  limitMs = timeout ?? limitMs;
  // Within a limit a script needs none of its own.
  return runInContext.call(this, context, work ? others : options);
};

BaseVMWorkflow.prototype.activate = async function (activation) {
  try {
    return await limited(() => activate.call(this, activation));
  } catch (error) {
    // biome-ignore lint/complexity/useLiteralKeys: it is protected, and has its type only so
    return { runId: this.runId, failed: { failure: this["activator"].errorToFailure(error) } };
  }
};
