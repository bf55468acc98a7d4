// One contender in a process of its own: `node server.ts <name> <store>`; tells its parent the port, and on every message the CPU
// time that it has used, in microseconds.
import { type Contender, contenders } from "./contenders.ts";

process.send?.(await contenders[process.argv[2] as Contender](process.argv[3] ?? ""));
process.on("message", () => {
  const { user, system } = process.cpuUsage();
  process.send?.(user + system);
});
process.on("disconnect", () => process.exit(0));
