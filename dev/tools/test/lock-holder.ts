// Holds the lock of its first argument until its input ends, and says when it has it.
import { once } from "node:events";
import { exclusively } from "../exclusive.ts";

const [file = ""] = process.argv.slice(2);
const hold = async () => {
  console.log("held");
  await once(process.stdin.resume(), "end");
};
await exclusively(file, hold, { deadlineMs: 10_000, onWait: () => undefined });
