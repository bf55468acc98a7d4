import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { run } from "../../command/run.ts";
import { extract, readArchive } from "../archive.ts";

const id = "ab".repeat(32);
const config = {
  config: { User: "1000:1000", Labels: { "org.opencontainers.image.title": "ordermesh" } },
  history: [
    { created_by: "/bin/sh -c #(nop) WORKDIR /app", empty_layer: true },
    { created_by: `/bin/sh -c #(nop) COPY dir:${"0f".repeat(32)} in services ` },
    { created_by: "COPY package.json ./ # buildkit" },
  ],
};

for (const { builder, configFile, layers } of [
  { builder: "buildah and podman", configFile: `${id}.json`, layers: ["one.tar", "two.tar"] },
  { builder: "docker", configFile: `blobs-sha256-${id}`, layers: ["one", "two"] },
]) {
  test(`an archive of ${builder} says what is in the image`, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), "ordermesh-archive-"));
    t.after(() => rmSync(folder, { recursive: true }));
    const [first = "", second = ""] = layers;
    writeFileSync(join(folder, first), "x".repeat(2_048));
    writeFileSync(join(folder, second), "x".repeat(512));
    writeFileSync(join(folder, configFile), JSON.stringify(config));
    writeFileSync(join(folder, "manifest.json"), JSON.stringify([{ Config: configFile, Layers: layers }]));
    const archive = join(folder, "image.tar");
    const entries = [first, second, configFile, "manifest.json"];
    await run("tar", ["-C", folder, "-cf", archive, ...entries], { timeoutMs: 20_000 });
    assert.deepEqual(await readArchive(archive), {
      id: `sha256:${id}`,
      user: "1000:1000",
      labels: { "org.opencontainers.image.title": "ordermesh" },
      layers: [
        { bytes: 2_048, made: "COPY … in services" },
        { bytes: 512, made: "COPY package.json ./" },
      ],
    });
  });
}

test("a file is taken out of the last layer that has it, and nothing else is left behind", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "ordermesh-archive-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const layers = ["one.tar", "two.tar", "three.tar"];
  for (const [index, files] of [["bom.json", "other"], ["bom.json"], ["other"]].entries()) {
    const layer = join(folder, `layer-${index}`);
    mkdirSync(join(layer, "app"), { recursive: true });
    // Larger than what is kept of a command's output.
    for (const file of files) writeFileSync(join(layer, "app", file), `${file} of ${index}`.padEnd(200_000));
    await run("tar", ["-C", layer, "-cf", join(folder, layers[index] ?? ""), "app"], { timeoutMs: 20_000 });
  }
  writeFileSync(join(folder, "manifest.json"), JSON.stringify([{ Config: "x.json", Layers: layers }]));
  const archive = join(folder, "image.tar");
  await run("tar", ["-C", folder, "-cf", archive, ...layers, "manifest.json"], { timeoutMs: 20_000 });
  const before = readdirSync(folder);
  await extract(archive, "app/bom.json", join(folder, "taken"));
  assert.equal(readFileSync(join(folder, "taken"), "utf8"), "bom.json of 1".padEnd(200_000));
  await assert.rejects(extract(archive, "app/none", join(folder, "none")), /^Error: the image has no app\/none$/);
  assert.deepEqual(readdirSync(folder).sort(), [...before, "taken"].sort());
});
