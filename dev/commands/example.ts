// `npm run example [-- <name>]`: runs an example, or says which there are.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../../deploy/command/checkout.ts";

const folder = join(root, "examples");
const names = readdirSync(folder).sort();
/** What an example is about: the heading of its README. */
const about = (name: string) => /^# (.*)$/m.exec(readFileSync(join(folder, name, "README.md"), "utf8"))?.[1] ?? "";

const [name] = process.argv.slice(2);
if (name !== undefined && names.includes(name)) {
  const { run }: { run: () => Promise<void> } = await import(join(folder, name, "src", "main.ts"));
  await run();
} else {
  if (name !== undefined && name !== "--help") console.error(`There is no example ${name}.`);
  console.log(
    [
      "Examples of what else is built on the same kernel and services:",
      ...names.map((each) => `  npm run example -- ${each}   ${about(each)}`),
    ].join("\n"),
  );
  process.exitCode = name === undefined || name === "--help" ? 0 : 2;
}
