import assert from "node:assert/strict";
import { globSync } from "node:fs";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { helm, kubernetesVersion, resourcesIn } from "../../../charts/test/charts.ts";
import { moduleSource, writeCustomSchemas, writeKubernetesSchemas } from "../../../charts/test/kubernetes-schemas.ts";
import { root } from "../../../deploy/command/checkout.ts";
import { run } from "../../../deploy/command/run.ts";
import { steps } from "../../../deploy/infrastructure/steps.ts";
import { tool } from "../../tools/tool.ts";

/** The modules whose source holds the kinds of the operators, in the versions that are installed. */
const operators = [
  ["github.com/cloudnative-pg/cloudnative-pg@v1.30.1", "config/crd/bases/*.yaml"],
  ["github.com/cloudnative-pg/plugin-barman-cloud@v0.15.0", "config/crd/bases/*.yaml"],
  ["github.com/cert-manager/cert-manager@v1.21.2", "deploy/crds/*.yaml"],
  ["github.com/elastic/cloud-on-k8s/v3@v3.5.0", "config/crds/v1/all-crds.yaml"],
  ["github.com/prometheus-operator/prometheus-operator@v0.85.0", "example/prometheus-operator-crd/*.yaml"],
] as const;

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "ordermesh-infrastructure-"));
  for (const [module, pattern] of operators) {
    const source = await moduleSource(module);
    const files = globSync(pattern, { cwd: source });
    assert.ok(files.length > 0, module);
    for (const file of files) await writeCustomSchemas(folder, join(source, file));
  }
});
after(() => rm(folder, { recursive: true, force: true }));

async function conform(text: string, name: string): Promise<string> {
  const location = await writeKubernetesSchemas(folder, new Set(resourcesIn(text).map(({ kind }) => kind)));
  const file = join(folder, `${name}.yaml`);
  await writeFile(file, text);
  const args = ["-strict", "-summary", "-schema-location", location, file];
  return run(await tool("kubeconform"), args, { cwd: root, timeoutMs: 60_000, keepOutput: true });
}

describe("kubeconform, strict, with the operators' own schemas", () => {
  const own = globSync("deploy/infrastructure/{resources,local}/*.yaml", { cwd: root });
  const others = globSync("deploy/observability/{elk,prometheus}/kubernetes/*.yaml", { cwd: root });
  const files = [...own, ...others].filter((file) => !file.endsWith("name-references.yaml")).sort();
  for (const path of files) {
    it(`takes ${path}`, async () => {
      const said = await conform(await readFile(join(root, path), "utf8"), "resources");
      assert.match(said, /Invalid: 0, Errors: 0, Skipped: 0/);
    });
  }

  it("refuses what an operator does not know", async () => {
    const text = await readFile(join(root, "deploy/infrastructure/resources/postgres.yaml"), "utf8");
    await assert.rejects(conform(text.replace("walStorage:", "walStorrage:"), "typo"), /walStorrage/);
  });
});

describe("a chart that can be had without its registry", () => {
  const valuesFile = (name: string) => join("deploy/infrastructure/values", `${name}.yaml`);
  const versionOf = (name: string) =>
    steps.flatMap((step) => (step.kind === "chart" && step.name === name ? step.version : []))[0];

  it("the Elastic operator's, takes our values", async () => {
    const chart = join(
      await moduleSource(`github.com/elastic/cloud-on-k8s/v3@v${versionOf("eck-operator")}`),
      "deploy/eck-operator",
    );
    const args = ["--set", "installCRDs=false", "--kube-version", kubernetesVersion];
    const text = await helm("template", "eck-operator", chart, "-f", valuesFile("eck-operator"), ...args);
    assert.match(await conform(text, "eck-operator"), /Invalid: 0, Errors: 0, Skipped: 0/);
  });

  it("cert-manager's, takes our values", async () => {
    const source = join(
      await moduleSource(`github.com/cert-manager/cert-manager@${versionOf("cert-manager")}`),
      "deploy/charts/cert-manager",
    );
    const chart = join(folder, "cert-manager");
    await cp(source, chart, { recursive: true });
    // In the source the versions are left out of it.
    const metadata = "apiVersion: v2\nname: cert-manager\nversion: v1.21.2\nappVersion: v1.21.2\n";
    await rm(join(chart, "Chart.template.yaml"), { force: true });
    await writeFile(join(chart, "Chart.yaml"), metadata);
    const args = ["--set", "crds.enabled=false", "--kube-version", kubernetesVersion];
    const text = await helm("template", "cert-manager", chart, "-f", valuesFile("cert-manager"), ...args);
    assert.match(await conform(text, "cert-manager"), /Invalid: 0, Errors: 0, Skipped: 0/);
  });
});
