import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { environmentArgs, ofKind, render, resourcesIn } from "../../../charts/test/charts.ts";
import { podsOf } from "../../../charts/test/pods.ts";
import { root } from "../../../deploy/command/checkout.ts";
import { run } from "../../../deploy/command/run.ts";
import { wantedSecrets } from "../../../deploy/infrastructure/secrets.ts";
import { steps } from "../../../deploy/infrastructure/steps.ts";
import { fullEnvironment } from "../../config.ts";

/** Stands in for helm and kubectl: notes what it is told, and keeps the secrets that are applied. */
const standIn = `#!${process.execPath}
const { appendFileSync, existsSync, readFileSync, writeFileSync } = require("node:fs");
const args = process.argv.slice(2);
const file = (namespace, name) => __dirname + "/" + namespace + "." + name + ".json";
const after = (flag) => args[args.indexOf(flag) + 1];
appendFileSync(__dirname + "/log", require("node:path").basename(__filename) + " " + args.join(" ") + "\\n");
if (args.includes("get")) {
  const path = file(after("--namespace"), after("secret"));
  if (existsSync(path)) process.stdout.write(readFileSync(path));
}
if (after("--filename") === "-") {
  const { type, metadata, stringData } = JSON.parse(readFileSync(0, "utf8"));
  const data = Object.entries(stringData).map(([key, value]) => [key, Buffer.from(value).toString("base64")]);
  writeFileSync(file(metadata.namespace, metadata.name), JSON.stringify({ type, data: Object.fromEntries(data) }));
}
`;

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "ordermesh-install-"));
  for (const name of ["helm", "kubectl"]) await writeFile(join(folder, name), standIn, { mode: 0o755 });
});
after(() => rm(folder, { recursive: true, force: true }));

async function install(...args: string[]): Promise<string[]> {
  await rm(join(folder, "log"), { force: true });
  const env = fullEnvironment({ PATH: `${folder}:${fullEnvironment().PATH}` });
  const script = ["deploy/infrastructure/install.ts", ...args];
  await run(process.execPath, script, { cwd: root, env, timeoutMs: 60_000, keepOutput: true });
  const log = await readFile(join(folder, "log"), "utf8").catch(() => "");
  return log.split("\n").filter((line) => line !== "");
}

async function secretIn(namespace: string, name: string): Promise<Record<string, string>> {
  const text = await readFile(join(folder, `${namespace}.${name}.json`), "utf8");
  return (JSON.parse(text) as { data: Record<string, string> }).data;
}

describe("the script that installs what the mesh needs", () => {
  it("runs nothing on a dry run", async () => {
    assert.deepEqual(await install("--context", "test", "--dry-run"), []);
  });

  it("never guesses the cluster", async () => {
    await assert.rejects(install(), /say which cluster: --context <name>/);
  });

  it("refuses a step that does not exist", async () => {
    await assert.rejects(
      install("--context", "test", "--only", "postgre"),
      /there is no step postgre; there are namespaces,/,
    );
  });

  it("tells every command which cluster it is for, and every chart its version and values", async () => {
    const lines = await install("--context", "test", "--only", "temporal,jaeger,elk");
    assert.deepEqual(
      lines.map((line) => line.split(" ").slice(0, 4).join(" ")),
      ["helm upgrade --install temporal", ...Array(3).fill("kubectl --context test")].map((start, index) =>
        index === 0 ? start : `${start} ${index === 3 ? "apply" : "--namespace"}`,
      ),
    );
    assert.match(
      lines[0] ?? "",
      /--version 1\.1\.1 --kube-context test .*--values deploy\/infrastructure\/values\/temporal.yaml/,
    );
  });

  it("makes each secret once, the same one wherever it is needed", async () => {
    await install("--context", "test", "--only", "secrets");
    const first = await secretIn("databases", "ordermesh-orders-database");
    assert.deepEqual(await secretIn("ordermesh", "ordermesh-orders-database"), first);
    assert.equal(Buffer.from(first.password ?? "", "base64").toString().length, 48);
    await install("--context", "test", "--only", "secrets");
    assert.deepEqual(await secretIn("databases", "ordermesh-orders-database"), first);
  });

  it("copies a certificate without its key", async () => {
    const data = { "ca.crt": "Y2E=", "ca.key": "a2V5" };
    await writeFile(join(folder, "databases.postgres-ca.json"), JSON.stringify({ type: "Opaque", data }));
    await install("--context", "test", "--only", "postgres-ca");
    assert.deepEqual(await secretIn("ordermesh", "postgres-ca"), { "ca.crt": "Y2E=" });
  });
});

describe("what is installed", () => {
  it("has its values and resources", () => {
    for (const step of steps) {
      if (step.kind === "chart") assert.ok(existsSync(join(root, "deploy/infrastructure/values", `${step.name}.yaml`)));
      if (step.kind === "resources") assert.ok(existsSync(join(root, step.path)), step.path);
    }
  });

  for (const environment of ["staging", "production"] as const) {
    it(`holds every secret that the pods of ${environment} ask for`, async () => {
      const made = wantedSecrets().flatMap(({ secret, alsoIn }) =>
        [secret.metadata.namespace, alsoIn].includes("ordermesh")
          ? Object.keys(secret.stringData).map((key) => `${secret.metadata.name}/${key}`)
          : [],
      );
      const pods = podsOf(await render("ordermesh", ...environmentArgs(environment)));
      const asked = pods.flatMap(({ spec }) =>
        spec.containers.flatMap(({ env = [] }) => env.flatMap(({ valueFrom }) => valueFrom?.secretKeyRef ?? [])),
      );
      assert.ok(asked.length >= 20);
      for (const { name, key } of asked) assert.ok(made.includes(`${name}/${key}`), `${name}/${key}`);
    });
  }

  it("has people pack in production, where a simulated warehouse would send what is on no shelf", async () => {
    const configurations = ofKind(await render("ordermesh", ...environmentArgs("production")), "ConfigMap");
    const [shipping] = configurations.filter(({ metadata }) => metadata.name === "ordermesh-shipping");
    assert.equal(shipping?.data?.WAREHOUSE, "people");
  });

  it("gives each role of the database the secret that its service logs in with", async () => {
    const text = await readFile(join(root, "deploy/infrastructure/resources/postgres.yaml"), "utf8");
    const cluster = ofKind(resourcesIn(text), "Cluster")[0]?.spec as {
      managed: { roles: { name: string; passwordSecret: { name: string } }[] };
    };
    const users = wantedSecrets().flatMap(({ secret, alsoIn }) =>
      alsoIn === "ordermesh" && secret.metadata.name.includes("-database") ? [secret] : [],
    );
    assert.deepEqual(
      cluster.managed.roles.map(({ name, passwordSecret }) => [name, passwordSecret.name]),
      users.map(({ metadata, stringData }) => [stringData.username, metadata.name]),
    );
  });
});
