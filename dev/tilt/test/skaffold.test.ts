import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { ofKind, type Resource, resourcesIn } from "../../../charts/test/charts.ts";
import { podsOf } from "../../../charts/test/pods.ts";
import { root } from "../../../deploy/command/checkout.ts";
import { run } from "../../../deploy/command/run.ts";
import { databaseServices, type Service, serviceFacts, services } from "../../../services/services.ts";
import { fullEnvironment } from "../../config.ts";
import { findTool, tool, toolLinks } from "../../tools/tool.ts";

const skaffold = await findTool("skaffold");
/** Where a pipeline has put the image, as Skaffold names what was pushed. */
const repository = "registry.example.com/ordermesh";
const digest = `sha256:${"0123456789abcdef".repeat(4)}`;
/** It takes minutes to build, so a test does not have it built. */
const skip = skaffold === undefined && "Skaffold is neither on PATH nor built: `npm run tools -- skaffold` builds it";

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "ordermesh-skaffold-"));
  await tool("helm");
  // Skaffold asks which cluster it is for, and asks that cluster nothing.
  const cluster = { name: "kind-test", cluster: { server: "https://127.0.0.1:1" } };
  const context = { name: "kind-test", context: { cluster: "kind-test", user: "test" } };
  const config = { apiVersion: "v1", kind: "Config", "current-context": "kind-test", clusters: [cluster] };
  await writeFile(join(folder, "kubeconfig"), JSON.stringify({ ...config, contexts: [context], users: [] }));
});
after(() => rm(folder, { recursive: true, force: true }));

async function ask(...args: string[]): Promise<string> {
  const env = fullEnvironment({
    PATH: `${toolLinks}:${fullEnvironment().PATH}`,
    KUBECONFIG: join(folder, "kubeconfig"),
    SKAFFOLD_CONFIG: join(folder, "config"),
    SKAFFOLD_UPDATE_CHECK: "false",
    SKAFFOLD_COLLECT_METRICS: "false",
    GATEWAY_CONNECTOR_ADDRESS: "gateway.shop:50061",
    CARRIER_CONNECTOR_ADDRESS: "carrier.shop:50062",
  });
  const options = ["--interactive=false", "--filename", "skaffold.yaml"];
  const timeoutMs = 120_000;
  return run(skaffold ?? "", [...args, ...options], { cwd: root, env, timeoutMs, keepOutput: true });
}

/** What Skaffold would deploy, with an image that it did not have to build. */
async function renderedFor(profile: string): Promise<Resource[]> {
  const output = join(folder, `${profile}.yaml`);
  const built = join(folder, "built.json");
  await writeFile(
    built,
    JSON.stringify({ builds: [{ imageName: "ordermesh", tag: `${repository}:1.2.3@${digest}` }] }),
  );
  await ask("render", "--profile", profile, "--build-artifacts", built, "--output", output);
  return resourcesIn(await readFile(output, "utf8"));
}

describe("Skaffold", { skip }, () => {
  for (const profile of ["local", "staging", "production"]) {
    it(`understands the profile ${profile}`, async () => {
      const said = await ask("diagnose", "--yaml-only", "--profile", profile);
      assert.match(said, /image: ordermesh/);
      assert.match(said, new RegExp(`deploy/values/${profile}.yaml`));
    });

    it(`renders the charts with the values of ${profile} and the image that it built`, async () => {
      const resources = await renderedFor(profile);
      const names = ofKind(resources, "Deployment").map(({ metadata }) => metadata.name);
      const isThere = (service: Service) => {
        if (profile === "production") return !serviceFacts[service].outside;
        // Nobody is written to by staging.
        return profile === "local" || service !== "notifications";
      };
      for (const service of services) assert.equal(names.includes(`ordermesh-${service}`), isThere(service), service);
      const own = podsOf(resources).filter(({ labels }) => labels["app.kubernetes.io/part-of"] === "ordermesh");
      assert.ok(own.length >= services.filter(isThere).length + databaseServices.filter(isThere).length);
      // A local image was not pushed, and has no digest there.
      const image = profile === "local" ? `${repository}:1.2.3` : `${repository}@${digest}`;
      for (const { spec } of own) assert.equal(spec.containers[0]?.image, image);
      assert.equal(ofKind(resources, "StatefulSet").length, profile === "local" ? 1 : 0);
    });
  }
});
