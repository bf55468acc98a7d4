// Writes the types of docs/events.md anew from the tables of the services.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../../../deploy/command/checkout.ts";
import { withTypes } from "../events-page.ts";

const file = join(root, "docs/events.md");
writeFileSync(file, withTypes(readFileSync(file, "utf8")));
console.log("Written: docs/events.md");
