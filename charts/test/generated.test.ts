import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import fc from "fast-check";
import { ofKind, type Resource } from "./charts.ts";
import { aliases, type MeshValues, meshValues, releaseName } from "./generated-values.ts";
import { renderLarger, renderWith } from "./larger-chart.ts";
import { edgesIn } from "./network.ts";
import { podsOf } from "./pods.ts";
import { requireFollowing } from "./settings.ts";
import { requireCalls, requireNames, requirePorts, requireReferences } from "./whole.ts";

/** Always the same values, so that the next run finds the same; another seed finds others. */
const seed = 20_261_130;
/** What fails is shown as it was found: Helm would be asked for hundreds of smaller examples. */
const asFound = { seed, endOnFailure: true };
const runs = 24;
/** orders 1, inventory 1, shipping 4, the worker 4, payments 1, the simulators 1, notifications 1, the books 2, and the order that tests it 2. */
const callsOfMesh = 17;
/** Two of shipping's calls, and those of the books, are to one service each; besides, two to identity, each of eight. */
const edgesOfMesh = 31;

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "ordermesh-larger-"));
});
after(() => rm(folder, { recursive: true, force: true }));

const instanceOf = ({ metadata }: Resource) => metadata.labels["app.kubernetes.io/instance"] ?? "";

/** The things of each mesh of a release. */
function meshesIn(resources: readonly Resource[]): Resource[][] {
  return [...Map.groupBy(resources, instanceOf).values()];
}

function requireWhole(resources: readonly Resource[], meshes: number): void {
  requireNames(resources);
  requireReferences(resources);
  requirePorts(resources);
  const calls = requireCalls(resources);
  assert.equal(meshesIn(resources).length, meshes);
  assert.ok(calls >= meshes * callsOfMesh, `only ${calls} calls`);
}

describe("whatever is said", () => {
  it("names fit, addresses exist, ports agree, and pods are as they are wanted", async () => {
    const property = fc.asyncProperty(releaseName, meshValues, async (release, values) => {
      const resources = await renderWith("charts/ordermesh", release, values);
      requireWhole(resources, 1);
      assert.equal(edgesIn(resources).length, edgesOfMesh, edgesIn(resources).join());
      requireFollowing(podsOf(resources), values);
    });
    await fc.assert(property, { ...asFound, numRuns: runs });
  });

  it("meshes of one release keep apart, whatever a larger chart calls them", async () => {
    const property = fc.asyncProperty(
      releaseName,
      aliases.chain((names) =>
        fc.tuple(...names.map((name) => fc.tuple(fc.constant(name), meshValues))).map((meshes) => new Map(meshes)),
      ),
      async (release, meshes) => {
        const values = Object.fromEntries(meshes);
        const larger = { aliases: [...meshes.keys()], release, values };
        const resources = await renderLarger(join(folder, "larger"), larger);
        requireWhole(resources, meshes.size);
        const queues = ofKind(resources, "ConfigMap").flatMap(({ data }) => data?.TASK_QUEUE ?? []);
        assert.equal(new Set(queues).size, meshes.size, queues.join());
        for (const mesh of meshesIn(resources)) requireFollowing(podsOf(mesh), valuesOf(mesh, meshes));
      },
    );
    await fc.assert(property, { ...asFound, numRuns: Math.ceil(runs / 4) });
  });
});

/** What was said of the mesh that these things are of: the umbrella's own carry what it is called. */
function valuesOf(mesh: readonly Resource[], meshes: ReadonlyMap<string, MeshValues>): MeshValues {
  const chart = mesh.find(({ kind }) => kind === "CronJob")?.metadata.labels["helm.sh/chart"] ?? "";
  const found = [...meshes].find(([alias]) => chart.startsWith(`${alias}-0.1.0`.slice(0, chart.length)));
  assert.ok(found, `nobody is called ${chart}`);
  return found[1];
}
