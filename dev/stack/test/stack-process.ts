// A process with a small stack, to be killed by tests: `stack-process.ts <data folder> <ports as JSON>`. Prints the process
// ids of its components as its first line.
import type { Ports } from "../layout.ts";
import { Stack } from "../stack.ts";

const [dataDirectory, ports] = process.argv.slice(2);
if (!dataDirectory || !ports) throw new Error("usage: stack-process.ts <data folder> <ports as JSON>");
const stack = await Stack.start({
  dataDirectory,
  ports: JSON.parse(ports) as Ports,
  components: ["postgres", "temporal"],
});
console.log(JSON.stringify({ postgres: stack.pid("postgres"), temporal: stack.pid("temporal") }));
setInterval(() => undefined, 60_000);
