// Writes docs/metrics.md anew from what a running stack says of its metrics, and from the rules.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../../../deploy/command/checkout.ts";
import { familySections, fillIn, staticSections } from "../metrics-page.ts";
import { OperatorClients, trade, World } from "./prometheus-world.ts";

const file = join(root, "docs/metrics.md");
await using world = await World.start();
await trade(world.stack);
using clients = new OperatorClients(world.stack);
// Some metrics have labels only when an order waits for an operator.
await clients.park(world);
const processes = familySections(await world.families());
writeFileSync(file, fillIn(readFileSync(file, "utf8"), { ...staticSections(), processes }));
console.log("Written: docs/metrics.md");
