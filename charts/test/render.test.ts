import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { root } from "../../deploy/command/checkout.ts";
import { run } from "../../deploy/command/run.ts";
import { tool } from "../../dev/tools/tool.ts";
import { environmentArgs, environments, helm, kubernetesVersion, resourcesIn, simulated, template } from "./charts.ts";
import { moduleSource, writeCustomSchemas, writeKubernetesSchemas } from "./kubernetes-schemas.ts";

const charts = ["service", "ordermesh"] as const;

/** Everything that a value turns on. */
const everything = [
  "orders.canary.enabled=true",
  "payments.blueGreen.enabled=true",
  "global.database.host=postgres",
  "global.database.caSecret=ca",
  "global.temporal.tls.enabled=true",
  "global.temporal.tls.clientSecret=client",
  "global.temporal.apiKeySecret=key",
  "global.tracing.exporters=jaeger",
  "global.tracing.jaeger=http://jaeger:14268/api/traces",
  "shipping.priorityClassName=ordermesh",
  "shipping.nodeSelector.disk=fast",
  "global.imageRegistry=mirror.example.com",
  "global.imagePullSecrets[0]=registry",
  "global.imagePullSecrets[1].name=mirror",
  "global.commonLabels.team=shop",
  "global.commonAnnotations.team=shop",
  "global.pods.runtimeClassName=gvisor",
  "global.pods.hostAliases[0].ip=10.0.0.1",
  "global.pods.hostAliases[0].hostnames[0]=gateway.example.com",
  "global.pods.dnsPolicy=None",
  "global.pods.dnsConfig.nameservers[0]=10.0.0.2",
  "global.pods.extraEnv[0].name=HTTP_PROXY",
  "global.pods.extraEnv[0].value=http://proxy:3128",
  "global.pods.extraEnvFrom[0].secretRef.name=more",
  "global.pods.extraVolumes[0].name=scratch",
  "global.pods.extraVolumes[0].emptyDir.sizeLimit=1Gi",
  "global.pods.extraVolumeMounts[0].name=scratch",
  "global.pods.extraVolumeMounts[0].mountPath=/scratch",
  "global.pods.initContainers[0].name=wait",
  "global.pods.initContainers[0].image=localhost/wait",
  "global.pods.tolerations[0].operator=Exists",
  "orders.sidecars[0].name=agent",
  "orders.sidecars[0].image=localhost/agent",
  "orders.topologySpreadConstraints[0].topologyKey=rack",
  "orders.topologySpreadConstraints[0].maxSkew=1",
  "orders.topologySpreadConstraints[0].whenUnsatisfiable=DoNotSchedule",
  "orders.serviceAccount.annotations.role=orders",
  "orders.serviceAnnotations.gateway=yes",
  "payments.spread.topologyKeys=null",
  "global.tls.enabled=true",
  "global.tls.issuer.name=mesh",
  "global.tls.http=tls",
  "global.credentials.certificates=true",
  "worker.versions.enabled=true",
  "worker.versions.current=b",
  "worker.versions.draining[0].id=a",
  "worker.versions.draining[0].image.tag=old",
];

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "ordermesh-charts-"));
  const certificates = await moduleSource("github.com/cert-manager/cert-manager@v1.21.2");
  await writeCustomSchemas(folder, join(certificates, "deploy/crds/cert-manager.io_certificates.yaml"));
});
after(() => rm(folder, { recursive: true, force: true }));

describe("Helm", () => {
  for (const chart of charts) {
    it(`finds nothing wrong with ${chart}`, async () => {
      const gateway = chart === "ordermesh" ? simulated : [];
      await helm("lint", "--strict", "--kube-version", kubernetesVersion, ...gateway, join("charts", chart));
    });
  }

  for (const environment of environments) {
    it(`finds nothing wrong with ${environment}`, async () => {
      const values = ["--kube-version", kubernetesVersion, ...environmentArgs(environment)];
      await helm("lint", "--strict", ...values, "charts/ordermesh");
    });
  }

  it("refuses a cluster that is too old", async () => {
    await assert.rejects(helm("template", "charts/ordermesh", "--kube-version", "1.29.0"), /kubeVersion: >=1.30/);
  });
});

/** Runs kubeconform on the resources; kinds without a schema are refused like all that is wrong. */
async function conform(text: string, name: string): Promise<string> {
  const kinds = new Set(resourcesIn(text).map(({ kind }) => kind));
  const location = await writeKubernetesSchemas(folder, kinds);
  const file = join(folder, `${name}.yaml`);
  await writeFile(file, text);
  const args = ["-strict", "-summary", "-schema-location", location, file];
  return run(await tool("kubeconform"), args, { cwd: root, timeoutMs: 60_000, keepOutput: true });
}

describe("kubeconform, strict", () => {
  const variants = new Map<string, readonly string[]>([
    ["defaults", []],
    ...environments.map((name) => [name, environmentArgs(name)] as const),
    ["everything", ["--set", everything.join(",")]],
  ]);
  for (const [name, args] of variants) {
    it(`takes ${name}`, async () => {
      const said = await conform(await template("ordermesh", ...args), name);
      assert.match(said, /Valid: (\d{2,}), Invalid: 0, Errors: 0, Skipped: 0/);
    });
  }

  it("refuses a field that Kubernetes does not know, and a number where it wants text", async () => {
    const text = await template("ordermesh");
    await assert.rejects(conform(text.replace("minReadySeconds:", "minReadySecond:"), "field"), /minReadySecond/);
    await assert.rejects(conform(text.replace(/GRPC_PORT: "(\d+)"/, "GRPC_PORT: $1"), "number"), /GRPC_PORT/);
  });
});
