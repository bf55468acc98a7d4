/**
 * Records the histories that replay.test.ts replays: `node services/worker/test/record-histories.ts [name…]`. One that
 * exists stays as it is: it is what a workflow of its time did, which the code of today must still take.
 */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { realpath, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { root } from "../../../deploy/command/checkout.ts";
import { tool } from "../../../dev/tools/tool.ts";
import { historyFile } from "./history.ts";
import { scenarios } from "./scenarios.ts";
import { Stage } from "./stage/stage.ts";

/** The scenarios to record, by name. @throws Error, in one sentence, when one of them cannot be */
function wantedScenarios(names: string[]) {
  const wanted = names.length > 0 ? names : Object.keys(scenarios);
  return wanted.map((name) => {
    const run = scenarios[name];
    if (!run) throw new Error(`there is no scenario ${name}; there are: ${Object.keys(scenarios).join(", ")}`);
    if (!existsSync(historyFile(name))) return { name, run };
    throw new Error(
      `the history ${name} exists, and a recorded history never changes; record a scenario of another name`,
    );
  });
}

async function record(wanted: ReturnType<typeof wantedScenarios>): Promise<void> {
  const stage = await Stage.open();
  const packagesIn = dirname(await realpath(join(root, "node_modules")));
  try {
    for (const { name, run } of wanted) {
      const { workflowId, runId } = await run(stage);
      const which = ["--workflow-id", workflowId, ...(runId ? ["--run-id", runId] : [])];
      const show = ["workflow", "show", "--output", "json", ...which];
      const { stdout } = await promisify(execFile)(
        await tool("temporal"),
        [...show, "--address", stage.environment.address],
        { maxBuffer: 64 * 1024 * 1024 },
      );
      // Stack traces name the folder of this checkout, and the one its packages are linked from: nobody else's.
      const history = JSON.stringify(JSON.parse(stdout)).replaceAll(root, "").replaceAll(packagesIn, "");
      await writeFile(historyFile(name), `${history}\n`, { flag: "wx" });
      console.log(name);
    }
  } finally {
    await stage.close();
  }
}

try {
  await record(wantedScenarios(process.argv.slice(2)));
} catch (error) {
  console.error(`record-histories: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}
