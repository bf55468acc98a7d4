// One contender in a process of its own: `node server.ts <name> <surroundings as JSON>`; tells its parent the port, and on every message the CPU
// time that it has used, in microseconds.
import { type Contender, contenders, type Surroundings } from "./contenders.ts";

const [, , name, surroundings = "{}"] = process.argv;
process.send?.(await contenders[name as Contender](JSON.parse(surroundings) as Surroundings));
process.on("message", () => {
  const { user, system } = process.cpuUsage();
  process.send?.(user + system);
});
process.on("disconnect", () => process.exit(0));
