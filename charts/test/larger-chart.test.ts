import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { named, ofKind, type Resource } from "./charts.ts";
import { renderLarger } from "./larger-chart.ts";
import { podsOf } from "./pods.ts";
import { requireNames, requireReferences } from "./whole.ts";

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "ordermesh-larger-"));
});
after(() => rm(folder, { recursive: true, force: true }));

function instancesIn(resources: readonly Resource[]): string[] {
  return [...new Set(resources.map(({ metadata }) => metadata.labels["app.kubernetes.io/instance"] ?? ""))].sort();
}

describe("as a part of a larger chart", () => {
  const render = (aliases: readonly string[], values: object) =>
    renderLarger(join(folder, "larger"), { aliases, release: "shop", values });

  it("the mesh is called after both, and its policies are about nothing else of the release", async () => {
    const resources = await render(["ordermesh"], { ordermesh: { enabled: true } });
    assert.deepEqual(instancesIn(resources), ["shop-ordermesh"]);
    const { spec } = named(resources, "NetworkPolicy", "shop-ordermesh-default-deny") as {
      spec: { podSelector: object };
    };
    assert.deepEqual(spec.podSelector, { matchLabels: { "app.kubernetes.io/instance": "shop-ordermesh" } });
  });

  it("each mesh is left out by its condition", async () => {
    const resources = await render(["eu", "us"], { us: { enabled: false } });
    assert.deepEqual(instancesIn(resources), ["shop-eu"]);
  });

  it("what the larger chart says for all holds for every pod, whatever else it says", async () => {
    const global = {
      imageRegistry: "mirror.example.com",
      imagePullSecrets: ["one", { name: "two" }],
      storageClass: "fast",
      postgresql: { auth: { username: "x" } },
    };
    const pods = podsOf(await render(["eu", "us"], { global }));
    assert.equal(pods.length, 30);
    for (const { from, spec } of pods) {
      assert.equal(spec.containers[0]?.image, "mirror.example.com/ordermesh:0.1.0", from);
      assert.deepEqual(spec.imagePullSecrets, [{ name: "one" }, { name: "two" }], from);
    }
  });

  it("two services of one program are called by their own names", async () => {
    const values = {
      global: { credentials: { mode: "disabled" } },
      billing: { program: "orders", calls: [{ service: "refunds", port: 50051 }] },
      refunds: { program: "orders" },
    };
    const parts = { chart: "service", aliases: ["billing", "refunds"], release: "shop", values } as const;
    const resources = await renderLarger(join(folder, "parts"), parts);
    requireNames(resources);
    requireReferences(resources);
    const deployments = ofKind(resources, "Deployment").map(({ metadata }) => metadata.name);
    assert.deepEqual(deployments.sort(), ["shop-billing", "shop-refunds"]);
    const { data } = named(resources, "ConfigMap", "shop-billing");
    assert.equal(data?.REFUNDS_ADDRESS, "dns:///shop-refunds-headless:50051");
  });
});
