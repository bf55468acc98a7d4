// `node bill.ts <file>`: writes the bill of materials of the dependencies in this folder as CycloneDX, and takes those for
// development out of package.json. Uses nothing but Node and its npm, since it runs while the image is built.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync, realpathSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** What of a CycloneDX document is touched here. */
export interface Bill {
  serialNumber?: string;
  metadata: { timestamp?: string; [key: string]: unknown };
  components: { "bom-ref": string; [key: string]: unknown }[];
  [key: string]: unknown;
}

/**
 * The same bill with Node in it, and without what differs from one writing to the next: its time, and its number, which is
 * made from the contents instead.
 */
export function settle({ serialNumber: _, ...bill }: Bill, nodeVersion: string): Bill {
  const { timestamp: _time, ...metadata } = bill.metadata;
  const version = nodeVersion.replace(/^v/, "");
  const purl = `pkg:generic/node@${version}`;
  const node = { "bom-ref": purl, type: "platform", name: "node", version, purl };
  const byRef = (a: { "bom-ref": string }, b: { "bom-ref": string }) => (a["bom-ref"] < b["bom-ref"] ? -1 : 1);
  const settled = { ...bill, metadata, components: [...bill.components, node].sort(byRef) };
  const hex = createHash("sha256").update(JSON.stringify(settled)).digest("hex");
  // The layout of a UUID that is made from a hash (RFC 9562, version 8).
  const uuid = `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
  return { ...settled, serialNumber: `urn:uuid:${uuid}` };
}

/** npm refuses to write a bill while package.json names what is not installed, even what is to be omitted. */
function forgetDevelopment(): void {
  const { devDependencies: _, ...manifest } = JSON.parse(readFileSync("package.json", "utf8"));
  writeFileSync("package.json", `${JSON.stringify(manifest, null, 2)}\n`);
}

function readBill(): Bill {
  const npm = join(dirname(process.execPath), "../lib/node_modules/npm/bin/npm-cli.js");
  const args = [npm, "sbom", "--omit=dev", "--sbom-format=cyclonedx", "--sbom-type=application"];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
    timeout: 120_000,
  });
  if (status !== 0) throw new Error(`npm sbom failed: ${stderr.trim()}`);
  return JSON.parse(stdout) as Bill;
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const [, , target] = process.argv;
  if (target === undefined) throw new Error("say where to write: node bill.ts <file>");
  forgetDevelopment();
  const bill = settle(readBill(), process.version);
  writeFileSync(target, `${JSON.stringify(bill, null, 1)}\n`);
  console.log(`${bill.components.length} components`);
}
