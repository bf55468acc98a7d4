import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { run } from "../../command/run.ts";
import { readArchive } from "../archive.ts";

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
