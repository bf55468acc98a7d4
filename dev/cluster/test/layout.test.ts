import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { parseAllDocuments } from "yaml";
import { root } from "../../../deploy/command/checkout.ts";
import { network, paths } from "../layout.ts";
import { programNames } from "../programs.ts";

const folder = join(import.meta.dirname, "../addons");
const objects = readdirSync(folder).flatMap((file) =>
  parseAllDocuments(readFileSync(join(folder, file), "utf8")).map((document) => document.toJS()),
);

test("the service of the cluster's names has the address that pods are told", () => {
  const services = objects.filter(({ kind, metadata }) => kind === "Service" && metadata.name === "kube-dns");
  assert.deepEqual(
    services.map(({ spec }) => spec.clusterIP),
    [network.dns],
  );
});

test("addons run nothing but programs that are built here", () => {
  const images = objects
    .filter(({ kind }) => kind === "Deployment")
    .flatMap(({ spec }) => spec.template.spec.containers.map(({ image }: { image: string }) => image));
  const built = programNames.map((name) => `localhost/${name}:local`);
  assert.ok(images.length >= 2);
  for (const image of images) assert.ok(built.includes(image), image);
});

test("the path of containerd's socket fits into a socket address", () => {
  // sun_path holds 108 bytes, and containerd puts `.ttrpc` and the like behind it.
  assert.ok(Buffer.byteLength(paths.socket) < 90, paths.socket);
});

const command = (script: string, ...args: string[]) =>
  spawnSync(process.execPath, [join(root, "dev/commands", script), ...args], {
    encoding: "utf8",
    timeout: 30_000,
  });

for (const { script, args, code, says } of [
  { script: "cluster.ts", args: ["--help"], code: 0, says: /npm run cluster up/ },
  { script: "cluster.ts", args: [], code: 0, says: /npm run cluster up/ },
  { script: "cluster.ts", args: ["sideways"], code: 1, says: /There is no command "sideways"/ },
  { script: "cluster.ts", args: ["load"], code: 1, says: /Say which archive/ },
  { script: "cluster-test.ts", args: ["--help"], code: 0, says: /an uninstall that leaves nothing/ },
  { script: "cluster-test.ts", args: ["--sideways"], code: 1, says: /sideways/ },
]) {
  test(`${script} ${args.join(" ")} ends with ${code}`, () => {
    const { status, stdout, stderr } = command(script, ...args);
    assert.match(stdout + stderr, says);
    assert.equal(status, code);
  });
}
