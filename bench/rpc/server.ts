// One contender in a process of its own: `node server.ts <name>`; tells its parent the port.
import { type Contender, contenders } from "./contenders.ts";

const port = await contenders[process.argv[2] as Contender]();
process.send?.({ port });
process.on("disconnect", () => process.exit(0));
