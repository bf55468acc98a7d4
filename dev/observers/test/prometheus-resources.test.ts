import assert from "node:assert/strict";
import { existsSync, globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { parse, parseAllDocuments } from "yaml";
import { root } from "../../../deploy/command/checkout.ts";
import { run } from "../../../deploy/command/run.ts";
import { tool } from "../../tools/tool.ts";
import { exporterFlags } from "../prometheus.ts";

const home = join(root, "deploy/observability/prometheus");
const read = (path: string) => readFileSync(join(home, path), "utf8");

interface Container {
  readonly name: string;
  readonly image: string;
  readonly args: readonly string[];
  readonly ports: readonly { readonly name: string }[];
  readonly securityContext: Readonly<Record<string, unknown>>;
  readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string }[];
}

interface Resource {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly spec: {
    readonly selector?: { readonly matchLabels?: Readonly<Record<string, string>> };
    readonly podSelector?: { readonly matchLabels?: Readonly<Record<string, string>> };
    readonly endpoints?: readonly { readonly port: string }[];
    readonly template?: {
      readonly metadata: { readonly labels: Readonly<Record<string, string>> };
      readonly spec: {
        readonly automountServiceAccountToken: boolean;
        readonly securityContext: {
          readonly runAsNonRoot: boolean;
          readonly seccompProfile: { readonly type: string };
        };
        readonly containers: readonly Container[];
        readonly volumes?: readonly { readonly name: string }[];
      };
    };
  };
}

const kustomization = parse(read("kustomization.yaml")) as {
  resources: string[];
  configMapGenerator: { name: string; files: string[] }[];
  secretGenerator: { name: string; files: string[] }[];
};
const resources = kustomization.resources.flatMap((file) =>
  parseAllDocuments(read(file)).map((document) => document.toJS() as Resource),
);
const ofKind = (kind: string) => resources.filter((resource) => resource.kind === kind);

describe("the resources of the monitoring", () => {
  it("are all applied, with files that exist", () => {
    assert.deepEqual([...kustomization.resources].sort(), globSync("kubernetes/*.yaml", { cwd: home }).sort());
    const generators = [...kustomization.configMapGenerator, ...kustomization.secretGenerator];
    for (const { files } of generators) for (const file of files) assert.ok(existsSync(join(home, file)), file);
  });

  for (const { metadata, spec } of ofKind("Deployment")) {
    const pod = spec.template?.spec;
    const [container] = pod?.containers ?? [];

    it(`${metadata.name}: has no more rights than it needs`, () => {
      assert.equal(pod?.automountServiceAccountToken, false);
      assert.equal(pod.securityContext.runAsNonRoot, true);
      assert.equal(pod.securityContext.seccompProfile.type, "RuntimeDefault");
      assert.equal(container?.securityContext.readOnlyRootFilesystem, true);
      assert.equal(container.securityContext.allowPrivilegeEscalation, false);
      assert.deepEqual(container.securityContext.capabilities, { drop: ["ALL"] });
      const mounted = container.volumeMounts?.map(({ name }) => name) ?? [];
      assert.deepEqual(mounted.sort(), (pod.volumes ?? []).map(({ name }) => name).sort());
    });

    it(`${metadata.name}: is found by its monitor, and by nobody without a policy`, () => {
      const labels = spec.template?.metadata.labels ?? {};
      const finds = ({ matchLabels = {} }: { matchLabels?: Readonly<Record<string, string>> } = {}) =>
        Object.entries(matchLabels).every(([name, value]) => labels[name] === value);
      const monitors = ofKind("ServiceMonitor").filter((monitor) => finds(monitor.spec.selector));
      const ports = container?.ports.map(({ name }) => name) ?? [];
      assert.deepEqual(
        monitors.map(({ spec }) => spec.endpoints?.[0]?.port),
        ports,
      );
      assert.equal(ofKind("NetworkPolicy").filter((policy) => finds(policy.spec.podSelector)).length, 1);
      assert.equal(ofKind("Service").filter(({ metadata: { name } }) => name === metadata.name).length, 1);
    });
  }

  it("run the exporter as the tests run it, and both programs in the tested version", async () => {
    const containers = ofKind("Deployment").flatMap(({ spec }) => spec.template?.spec.containers ?? []);
    const exporter = containers.find(({ name }) => name === "postgres-exporter");
    for (const flag of exporterFlags) assert.ok(exporter?.args.includes(flag), flag);
    for (const [name, program] of [
      ["postgres-exporter", "postgres_exporter"],
      ["pushgateway", "pushgateway"],
    ] as const) {
      const said = await run(await tool(program), ["--version"], { timeoutMs: 30_000 });
      const [, version = ""] = /version (\d+\.\d+\.\d+)/.exec(said) ?? [];
      assert.ok(
        containers.some((container) => container.name === name && container.image.endsWith(`:v${version}`)),
        said,
      );
    }
  });

  it("mount where Alertmanager reads", () => {
    const [secret] = kustomization.secretGenerator;
    const text = read("alertmanager/alertmanager.yaml");
    const values = readFileSync(join(home, "../../infrastructure/values/kube-prometheus-stack.yaml"), "utf8");
    const { alertmanager } = parse(values) as {
      alertmanager: { alertmanagerSpec: { configSecret: string; secrets: string[] } };
    };
    assert.equal(alertmanager.alertmanagerSpec.configSecret, secret?.name);
    // The operator mounts the configuration and each further secret there.
    for (const [path] of text.matchAll(/\/etc\/alertmanager\/[\w./-]+\//g)) {
      const known = [
        "/etc/alertmanager/config/",
        ...alertmanager.alertmanagerSpec.secrets.map((name) => `/etc/alertmanager/secrets/${name}/`),
      ];
      assert.ok(known.includes(path), path);
    }
  });
});
