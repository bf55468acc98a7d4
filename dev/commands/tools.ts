// `npm run tools [-- name…]`: has the tools ready that the stack and its tests need, or those named, and prints where
// each one is.
import { ToolError, tool, toolLinks } from "../tools/tool.ts";
import { type ToolName, usualTools, versions } from "../tools/versions.ts";

const known = Object.keys(versions) as ToolName[];
const wanted = process.argv.slice(2);
if (wanted.includes("--help")) {
  console.log(`Has the tools ready that the stack and its tests need, and prints where each one is. What is not on PATH is built or fetched, once.

  npm run tools              ${usualTools.join(", ")}
  npm run tools -- <names>   some of ${known.join(", ")}`);
  process.exit(0);
}
const unknown = wanted.filter((name) => !known.some((tool) => tool === name));
if (unknown.length > 0) {
  console.error(`No tool is called ${unknown.join(", ")}; there are ${known.join(", ")}.`);
  process.exit(2);
}
try {
  for (const name of wanted.length === 0 ? usualTools : known.filter((tool) => wanted.includes(tool))) {
    console.log(`${name}: ${await tool(name)}`);
  }
  console.log(`Put them on PATH: export PATH="${toolLinks}:$PATH"`);
} catch (error) {
  if (!(error instanceof ToolError)) throw error;
  console.error(error.message);
  process.exit(1);
}
