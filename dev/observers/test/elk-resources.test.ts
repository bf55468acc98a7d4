import assert from "node:assert/strict";
import { globSync } from "node:fs";
import { copyFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { parse, parseAllDocuments } from "yaml";
import { run } from "../../../deploy/command/run.ts";
import { elk, knownFields, read, valuesUnder } from "../../../deploy/observability/test/elk-fields.ts";
import { tool } from "../../tools/tool.ts";
import { versions } from "../../tools/versions.ts";

interface Resource {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec?: Readonly<Record<string, unknown>>;
}

interface Kustomization {
  readonly resources: readonly string[];
  readonly configurations: readonly string[];
  readonly configMapGenerator: readonly { readonly name: string; readonly files: readonly string[] }[];
}

interface Container {
  readonly securityContext: {
    readonly readOnlyRootFilesystem: boolean;
    readonly allowPrivilegeEscalation: boolean;
    readonly capabilities: { readonly drop: readonly string[] };
  };
  readonly resources: { readonly limits: { readonly memory: string } };
}

const kustomization = parse(read("kustomization.yaml")) as Kustomization;
const resources = kustomization.resources.flatMap((file) =>
  parseAllDocuments(read(file)).map((document) => {
    assert.deepEqual(document.errors, [], file);
    return document.toJS() as Resource;
  }),
);

function named(kind: string): string[] {
  return resources.filter((resource) => resource.kind === kind).map(({ metadata }) => metadata.name);
}

describe("the resources of the cluster", () => {
  it("are all applied, and nothing else is", () => {
    const files = globSync("kubernetes/*.yaml", { cwd: elk });
    assert.deepEqual(files.sort(), [...kustomization.resources, ...kustomization.configurations].sort());
    const setup = kustomization.configMapGenerator.find(({ name }) => name === "elk-setup")?.files;
    assert.deepEqual([...(setup ?? [])].sort(), globSync("setup/*", { cwd: elk }).sort());
    for (const { files } of kustomization.configMapGenerator) for (const file of files) assert.ok(read(file));
  });

  it("name only config maps, secrets and accounts that somebody makes", () => {
    const configMaps = kustomization.configMapGenerator.map(({ name }) => name);
    const certificates = valuesUnder(
      resources.filter(({ kind }) => kind === "Certificate"),
      new Set(["secretName"]),
    );
    // The operator names what it makes after the resource (ECK: <name>-es-http-certs-public, <name>-es-elastic-user).
    const operator = named("Elasticsearch").flatMap((name) => [
      `${name}-es-http-certs-public`,
      `${name}-es-elastic-user`,
    ]);
    operator.push(...named("Kibana").map((name) => `${name}-kb-http-certs-public`));
    const secrets = [...certificates, ...operator];
    for (const map of valuesUnder(resources, new Set(["configMap"]))) {
      assert.ok(configMaps.includes((map as { name: string }).name), JSON.stringify(map));
    }
    const keys = valuesUnder(resources, new Set(["secretKeyRef"])).map((key) => (key as { name: string }).name);
    for (const secret of [...valuesUnder(resources, new Set(["secretName"])), ...keys]) {
      assert.ok(secrets.includes(secret), String(secret));
    }
    for (const account of valuesUnder(resources, new Set(["serviceAccountName"]))) {
      assert.ok(named("ServiceAccount").includes(String(account)));
    }
    for (const reference of valuesUnder(resources, new Set(["issuerRef"]))) {
      assert.ok(named("Issuer").includes((reference as { name: string }).name));
    }
  });

  it("mount each volume that they have, and have each that they mount", () => {
    const specs = valuesUnder(resources, new Set(["spec"])) as {
      volumes?: { name: string }[];
      containers?: { volumeMounts?: { name: string }[] }[];
    }[];
    for (const { volumes, containers } of specs) {
      if (!volumes) continue;
      const mounted = new Set(containers?.flatMap(({ volumeMounts }) => volumeMounts?.map(({ name }) => name) ?? []));
      assert.deepEqual([...mounted].sort(), volumes.map(({ name }) => name).sort());
    }
  });

  it("run the versions that are tested here", () => {
    const stack = resources.filter(({ apiVersion }) => apiVersion.includes("k8s.elastic.co"));
    assert.deepEqual(
      stack.map(({ spec }) => spec?.version),
      stack.map(() => versions.elasticsearch),
    );
    const images = valuesUnder(resources, new Set(["image"]));
    assert.ok(images.includes(`docker.elastic.co/beats/filebeat:${versions.filebeat.slice(1)}`));
  });

  it("give no pod a token of the cluster, nor more rights than it needs", () => {
    for (const kind of ["DaemonSet", "Job"]) {
      const [pod] = resources
        .filter((resource) => resource.kind === kind)
        .flatMap(({ spec }) => valuesUnder(spec?.template, new Set(["spec"]))) as Record<string, unknown>[];
      assert.equal(pod?.automountServiceAccountToken, false, kind);
      for (const { securityContext, resources } of (pod?.containers ?? []) as Container[]) {
        assert.equal(securityContext.readOnlyRootFilesystem, true);
        assert.equal(securityContext.allowPrivilegeEscalation, false);
        assert.deepEqual(securityContext.capabilities.drop, ["ALL"]);
        assert.ok(resources.limits.memory);
      }
    }
    assert.deepEqual([...named("ClusterRole"), ...named("Role")], []);
    assert.ok(named("NetworkPolicy").includes("default-deny"));
  });

  it("Filebeat finds Logstash, its certificate's name included, and its files where they are mounted", () => {
    const host = `${named("Logstash")[0]}-ls-beats`;
    const output = parse(read("filebeat/output.yml")) as { "output.logstash": { hosts: string[]; ssl: object } };
    assert.match(output["output.logstash"].hosts[0] ?? "", new RegExp(`${host}:5044`));
    const dnsNames = valuesUnder(resources, new Set(["dnsNames"])).flat();
    assert.ok(dnsNames.includes(host));
    const mounts = valuesUnder(resources, new Set(["mountPath"])).map(String);
    const files = [
      ...read("filebeat/output.yml").matchAll(/\/etc\/[\w./-]+/g),
      ...read("logstash/ordermesh.conf").matchAll(/\/etc\/[\w./-]+/g),
    ];
    for (const [file] of files) assert.ok(mounts.includes(file.slice(0, file.lastIndexOf("/"))), file);
  });
});

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "ordermesh-shippers-"));
});
after(() => rm(folder, { recursive: true, force: true }));

describe("Filebeat's configuration for the cluster", () => {
  it("is one that Filebeat takes, with a certificate where it says", async () => {
    const path = (file: string) => join(folder, file);
    const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", path("tls.key")];
    const certificate = ["req", "-x509", ...key, "-subj", "/CN=filebeat", "-days", "1", "-out", path("tls.crt")];
    await run("openssl", certificate, { timeoutMs: 30_000 });
    await copyFile(path("tls.crt"), path("ca.crt"));
    const output = path("output.yml");
    await writeFile(output, read("filebeat/output.yml").replaceAll("/etc/filebeat-tls", folder));
    const check = (file: string) => {
      const settings = ["--strict.perms=false", "--path.data", path("data"), "--path.logs", path("logs")];
      const args = ["test", "config", ...settings, "-c", join(elk, "filebeat/inputs.yml"), "-c", file];
      return run(filebeat, args, { env: { ...process.env, NODE_NAME: "node-1" }, timeoutMs: 60_000 });
    };
    const filebeat = await tool("filebeat");
    assert.match(await check(output), /Config OK/);
    const broken = path("broken.yml");
    await writeFile(
      broken,
      (await readFile(output, "utf8")).replace("compression_level: 3", "compression_level: much"),
    );
    await assert.rejects(check(broken), /ended with code 1/);
  });
});

describe("Logstash's pipeline", () => {
  const lint = async (file: string) => run(await tool("mustache"), ["lint", file], { timeoutMs: 30_000 });
  const pipeline = read("logstash/ordermesh.conf");

  it("is one that Logstash can read, each plugin with an id", async () => {
    await lint(join(elk, "logstash/ordermesh.conf"));
    const broken = join(folder, "broken.conf");
    await writeFile(broken, pipeline.replace("drop {", "drop "));
    await assert.rejects(lint(broken), /mustache ended/);
    const ids = [...pipeline.matchAll(/\bid => "([^"]+)"/g)].map(([, id]) => id);
    assert.equal(new Set(ids).size, ids.length);
  });

  it("asks only for fields that lines have", () => {
    const outside = new Set(["@metadata._id", "@metadata.stream", "timestamp", "@version", "tags"]);
    const known = knownFields();
    for (const [reference] of pipeline.matchAll(/(?:\[[@\w]+\])+/g)) {
      const field = reference.slice(1, -1).replaceAll("][", ".");
      assert.ok(known.has(field) || outside.has(field), field);
    }
  });

  it("has what the operator sets in its environment", () => {
    const [refs] = valuesUnder(resources, new Set(["elasticsearchRefs"])) as { name: string; clusterName: string }[][];
    const prefix = `${refs?.[0]?.clusterName.toUpperCase()}_ES_`;
    for (const [, name] of pipeline.matchAll(/\$\{(\w+)\}/g)) assert.ok(name?.startsWith(prefix), name);
  });
});
