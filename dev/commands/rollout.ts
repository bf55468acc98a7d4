// `npm run rollout`: has Helm ready, then rolls out.
import { rolloutCommand } from "../../deploy/rollout/command.ts";
import { HelmError } from "../../deploy/rollout/helm.ts";
import { RolloutError } from "../../deploy/rollout/rollout.ts";
import { usageError } from "../terminal/usage.ts";
import { ToolError, tool } from "../tools/tool.ts";

try {
  process.exitCode = await rolloutCommand(process.argv.slice(2), (say) => tool("helm", say));
} catch (error) {
  // The last is how parseArgs speaks of an option that it does not know.
  const kinds = [RolloutError, HelmError, ToolError, TypeError];
  if (!kinds.some((kind) => error instanceof kind)) throw error;
  console.error((error instanceof TypeError ? usageError(error) : (error as Error)).message);
  process.exitCode = 1;
}
