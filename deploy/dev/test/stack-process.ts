// A process with a small stack, to be killed by tests: `stack-process.ts <data folder> <port offset>`. Prints the process
// ids of its components as its first line.
import { Stack } from "../stack.ts";

const [dataDirectory, portOffset] = process.argv.slice(2);
if (!dataDirectory) throw new Error("usage: stack-process.ts <data folder> <port offset>");
const stack = await Stack.start({
  dataDirectory,
  portOffset: Number(portOffset),
  components: ["postgres", "temporal"],
});
console.log(JSON.stringify({ postgres: stack.pid("postgres"), temporal: stack.pid("temporal") }));
setInterval(() => undefined, 60_000);
