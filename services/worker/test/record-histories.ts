/** Records the histories that replay.test.ts replays: `node services/worker/test/record-histories.ts [name…]`. */
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { root } from "../../../deploy/command/checkout.ts";
import { tool } from "../../../dev/tools/tool.ts";
import { scenarios } from "./scenarios.ts";
import { Stage } from "./stage/stage.ts";

const wanted = process.argv.slice(2);
const stage = await Stage.open();
try {
  for (const [name, run] of Object.entries(scenarios)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue;
    const handle = await run(stage);
    const target = fileURLToPath(new URL(`./histories/${name}.json`, import.meta.url));
    const show = ["workflow", "show", "--output", "json", "--workflow-id", handle.workflowId];
    const { stdout } = await promisify(execFile)(
      await tool("temporal"),
      [...show, "--address", stage.environment.address],
      { maxBuffer: 64 * 1024 * 1024 },
    );
    // Stack traces name the folder of this checkout, which is nobody else's.
    const history = JSON.stringify(JSON.parse(stdout)).replaceAll(root, "");
    await writeFile(target, `${history}\n`);
    console.log(name);
  }
} finally {
  await stage.close();
}
