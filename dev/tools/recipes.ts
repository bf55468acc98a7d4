import { copyFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { run } from "../../deploy/command/run.ts";
import { buildEnvironment } from "./config.ts";
import { clockRecipe, poolerRecipe, prometheusRecipes, storeRecipe } from "./debian.ts";
import { elasticsearchRecipes } from "./elasticsearch.ts";
import { goExampleRecipe } from "./go-example.ts";
import { goSource } from "./go-source.ts";
import { schemathesisRecipe } from "./python.ts";
import type { Recipe } from "./recipe.ts";
import { type ToolName, versions } from "./versions.ts";

/** The ways to have each tool, the cheapest first. */
export const recipes: Readonly<Record<ToolName, readonly Recipe[]>> = {
  temporal: [
    temporalDownload("temporal"),
    goInstall({
      name: "temporal",
      module: "github.com/temporalio/cli",
      program: "cmd/temporal",
      usually: "4 minutes",
      // The driver that this version asks for loses its connection for good when a call is cancelled at the wrong moment
      // (https://gitlab.com/cznic/sqlite/-/issues/241; Temporal's own upgrade: github.com/temporalio/temporal/pull/9198).
      instead: ["modernc.org/sqlite v1.44.3"],
    }),
  ],
  "temporal-server": [temporalServer("temporal-server", "./cmd/server")],
  "temporal-sql-tool": [temporalServer("temporal-sql-tool", "./cmd/tools/sql")],
  grpcurl: [
    goInstall({
      name: "grpcurl",
      module: "github.com/fullstorydev/grpcurl",
      program: "cmd/grpcurl",
      usually: "half a minute",
    }),
  ],
  "temporal-test-server": [temporalDownload("temporal-test-server"), maven()],
  elasticsearch: elasticsearchRecipes,
  // Without the parts under Elastic's own licence, which the Go proxy does not have.
  filebeat: [
    goSource({ name: "filebeat", module: "github.com/elastic/beats/v7", program: "./filebeat", usually: "4 minutes" }),
  ],
  // Reads a Logstash pipeline and says whether Logstash could: `mustache lint <file>`.
  mustache: [
    goSource({
      name: "mustache",
      module: "github.com/breml/logstash-config",
      program: "./cmd/mustache",
      usually: "20 seconds",
    }),
  ],
  jaeger: [
    goInstall({
      name: "jaeger",
      module: "github.com/jaegertracing/jaeger",
      program: "cmd/all-in-one",
      usually: "4 minutes",
      // The module was renamed since, and its authors replace it likewise.
      replacing: ["github.com/Shopify/sarama => github.com/Shopify/sarama v1.33.0"],
    }),
  ],
  ...prometheusRecipes,
  // Debian's reads its templates from where its package puts them, so the program alone does not start.
  alertmanager: [
    goInstall({
      name: "alertmanager",
      module: "github.com/prometheus/alertmanager",
      program: "cmd/alertmanager",
      usually: "a minute",
    }),
  ],
  // Delays, cuts and silences connections while a campaign runs.
  toxiproxy: [
    goInstall({
      name: "toxiproxy",
      module: "github.com/Shopify/toxiproxy/v2",
      program: "cmd/server",
      usually: "20 seconds",
    }),
  ],
  "nats-server": [
    goInstall({
      name: "nats-server",
      module: "github.com/nats-io/nats-server/v2",
      usually: "a minute",
    }),
  ],
  // A mail server that delivers nothing, and refuses what it is told to. Its page is not in the module; its API is whole.
  mailpit: [
    goInstall({
      name: "mailpit",
      module: "github.com/axllent/mailpit",
      usually: "2 minutes",
      // As its authors do; otherwise it calls itself "dev".
      linking: `-X github.com/axllent/mailpit/config.Version=${versions.mailpit}`,
    }),
  ],
  "gateway-go": [goExampleRecipe],
  schemathesis: [schemathesisRecipe],
  libfaketime: [clockRecipe],
  pgbouncer: [poolerRecipe],
  "redis-server": [storeRecipe],
  ...chartRecipes(),
  ...deployRecipes(),
};

/** The SDK's own download, from temporal.download. */
function temporalDownload(name: "temporal" | "temporal-test-server"): Recipe {
  return {
    says: "downloading with the Temporal SDK",
    usually: "half a minute",
    async missing() {
      const answer = await fetch("https://temporal.download", {
        method: "HEAD",
        signal: AbortSignal.timeout(4000),
      }).catch(() => undefined);
      return answer ? undefined : "temporal.download is not reachable from here";
    },
    async run({ workshop, result }) {
      const script = join(import.meta.dirname, "download-temporal.ts");
      const lines = await run(process.execPath, [script, name, workshop], { timeoutMs: 5 * 60_000 });
      await copyFile(lines.trim().split("\n").at(-1) ?? "", join(result, name));
    },
  };
}

/** Its module has checksums of everything that it needs, and so it is built in its own folder. */
function temporalServer(name: "temporal-server" | "temporal-sql-tool", program: string): Recipe {
  return goSource({ name, module: "go.temporal.io/server", program, usually: "4 minutes", go: "1.26.8" });
}

/** What judges the charts and the Tiltfile. */
function chartRecipes() {
  const helm = goInstall({
    name: "helm",
    module: "helm.sh/helm/v3",
    program: "cmd/helm",
    usually: "2 minutes",
    // As its authors do; otherwise it takes a cluster that it does not ask for Kubernetes 1.20.
    linking: "-X helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor=1 -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor=34",
  });
  const unittest = goInstall({
    name: "helm-unittest",
    module: "github.com/helm-unittest/helm-unittest",
    program: "cmd/helm-unittest",
    usually: "1 minute",
    // As its authors replace it.
    replacing: ["github.com/vmware-labs/yaml-jsonpath v0.3.2 => github.com/helm-unittest/yaml-jsonpath v0.4.0"],
  });
  const kubeconform = goInstall({
    name: "kubeconform",
    module: "github.com/yannh/kubeconform",
    program: "cmd/kubeconform",
    usually: "10 seconds",
  });
  const starlark = goInstall({
    name: "starlark",
    module: "go.starlark.net",
    program: "cmd/starlark",
    usually: "10 seconds",
  });
  return {
    helm: [helm],
    "helm-unittest": [unittest],
    kubeconform: [kubeconform],
    starlark: [starlark],
  };
}

/** What deploys the charts, and signs what they deploy. */
function deployRecipes() {
  const registry = goInstall({
    name: "registry",
    module: "github.com/google/go-containerregistry",
    program: "cmd/registry",
    usually: "20 seconds",
  });
  const skaffold = goSource({
    name: "skaffold",
    module: "github.com/GoogleContainerTools/skaffold/v2",
    program: "./cmd/skaffold",
    usually: "5 minutes",
  });
  const cosign = goSource({
    name: "cosign",
    module: "github.com/sigstore/cosign/v2",
    program: "./cmd/cosign",
    usually: "8 minutes",
  });
  return { registry: [registry], skaffold: [skaffold], cosign: [cosign] };
}

interface GoProgram {
  readonly name:
    | "temporal"
    | "grpcurl"
    | "jaeger"
    | "alertmanager"
    | "helm"
    | "helm-unittest"
    | "kubeconform"
    | "mailpit"
    | "nats-server"
    | "registry"
    | "starlark"
    | "toxiproxy";
  readonly module: string;
  /** The program's package inside the module; the module itself unless given. */
  readonly program?: string;
  readonly usually: string;
  /** Modules that are wanted newer than the module asks for: `path version`. */
  readonly instead?: readonly string[];
  /** What its authors put in place of modules that the module asks for: `path => path version`. */
  readonly replacing?: readonly string[];
  /** More for Go's linker. */
  readonly linking?: string;
}

/** Builds from a module of our own that requires theirs, as `go install` would, but with a say in the versions. */
function goInstall({ name, module, program, usually, instead = [], replacing = [], linking }: GoProgram): Recipe {
  return {
    says: "building with Go",
    usually,
    async missing() {
      const present = await run("go", ["version"], { timeoutMs: 20_000 }).catch(() => undefined);
      return present ? undefined : "install Go 1.24 or newer (https://go.dev/dl), or put it on PATH";
    },
    async run({ workshop, result }) {
      const wanted = [`${module} ${versions[name]}`, ...instead].map((line) => `require ${line}`);
      const lines = [
        `module ordermesh.local/${name}`,
        "go 1.24",
        ...wanted,
        ...replacing.map((line) => `replace ${line}`),
      ];
      await writeFile(join(workshop, "go.mod"), `${lines.join("\n")}\n`);
      const env = buildEnvironment({ CGO_ENABLED: "0", GOFLAGS: "-mod=mod -trimpath -ldflags=-s" });
      const linker = linking ? ["-ldflags", `-s ${linking}`] : [];
      const whole = program === undefined ? module : `${module}/${program}`;
      const build = ["-n", "15", "go", "build", ...linker, "-o", join(result, name), whole];
      await run("nice", build, { cwd: workshop, env, timeoutMs: 25 * 60_000 });
    },
  };
}

/** The jars from Maven Central and a script that starts them. */
function maven(): Recipe {
  return {
    says: "fetching from Maven Central",
    usually: "half a minute",
    async missing() {
      const java = await run("java", ["-version"], { timeoutMs: 20_000 }).catch(() => "");
      const major = Number(/version "(\d+)/.exec(java)?.[1] ?? 0);
      const mvn = await run("mvn", ["-version"], { timeoutMs: 60_000 }).catch(() => undefined);
      return major >= 17 && mvn ? undefined : "install Java 17 or newer and Maven";
    },
    async run({ workshop, result, home }) {
      await writeFile(join(workshop, "pom.xml"), pom);
      const output = `-DoutputDirectory=${join(result, "lib")}`;
      const args = ["-q", "-B", "-f", join(workshop, "pom.xml"), "dependency:copy-dependencies", output];
      await run("mvn", [...args, "-DincludeScope=runtime"], { cwd: workshop, timeoutMs: 10 * 60_000 });
      const script = `#!/bin/sh\nexec java -cp '${home}/lib/*' io.temporal.testserver.TestServer "$@"\n`;
      await writeFile(join(result, "temporal-test-server"), script, { mode: 0o755 });
    },
  };
}

const pom = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>ordermesh</groupId><artifactId>temporal-test-server</artifactId><version>1</version>
  <dependencies>
    <dependency>
      <groupId>io.temporal</groupId><artifactId>temporal-test-server</artifactId>
      <version>${versions["temporal-test-server"]}</version>
    </dependency>
  </dependencies>
</project>
`;
