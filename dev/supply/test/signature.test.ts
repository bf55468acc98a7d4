// What `npm run image -- --push --sign` leaves in a registry, as cosign judges it: whoever admits images asks it, or what it is made of. cosign takes
// too long to build for the gate, so this is left out where there is none: `npm run tools -- cosign registry`.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { run } from "../../../deploy/command/run.ts";
import { signImage } from "../../../deploy/image/sign.ts";
import { Registry } from "../../cluster/mesh/registry.ts";
import { findTool } from "../../tools/tool.ts";

const cosign = await findTool("cosign");
const registry = await findTool("registry");
const skip = cosign && registry ? false : "there is no cosign and no registry here: `npm run tools -- cosign registry`";

const digestOf = (bytes: string) => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

/** Puts an image without layers into a registry, and returns it by its digest. */
async function push(host: string, label: string): Promise<string> {
  const config = JSON.stringify({
    architecture: "amd64",
    os: "linux",
    config: { Labels: { label } },
    rootfs: { type: "layers", diff_ids: [] },
  });
  const types = "application/vnd.oci.image";
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType: `${types}.manifest.v1+json`,
    config: { mediaType: `${types}.config.v1+json`, size: config.length, digest: digestOf(config) },
    layers: [],
  });
  const base = `http://${host}/v2/ordermesh`;
  const blob = await fetch(`${base}/blobs/uploads/?digest=${digestOf(config)}`, { method: "POST", body: config });
  assert.equal(blob.status, 201);
  const headers = { "content-type": `${types}.manifest.v1+json` };
  const put = await fetch(`${base}/manifests/${label}`, { method: "PUT", headers, body: manifest });
  assert.equal(put.status, 201);
  return `${host}/ordermesh@${digestOf(manifest)}`;
}

describe("an image that was signed", { skip }, () => {
  const folder = mkdtempSync(join(tmpdir(), "ordermesh-signature-"));
  const bill = join(folder, "bom.cdx.json");
  let images: Registry;
  let signed: string;
  let other: string;

  const env = {
    ...process.env,
    COSIGN_PASSWORD: "",
    HOME: folder,
    PATH: [dirname(cosign ?? ""), process.env.PATH].join(delimiter),
  };
  const call = (...args: string[]) => run("cosign", args, { cwd: folder, env, timeoutMs: 120_000, keepOutput: true });
  const verify = (what: readonly string[], image: string, key = "cosign.pub") =>
    call(...what, "--key", key, "--insecure-ignore-tlog=true", image);

  before(async () => {
    images = await Registry.start(registry ?? "");
    signed = await push(images.host, "signed");
    other = await push(images.host, "other");
    writeFileSync(
      bill,
      JSON.stringify({ bomFormat: "CycloneDX", specVersion: "1.5", components: [{ name: "jose", type: "library" }] }),
    );
    await call("generate-key-pair");
    await call("generate-key-pair", "--output-key-prefix", "stranger");
    Object.assign(process.env, env);
    await signImage({ image: signed, bill, key: join(folder, "cosign.key") });
  });
  after(() => {
    images?.[Symbol.dispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  test("is known by the public key, and by its tag as by its digest", async () => {
    assert.match(await verify(["verify"], signed), /signatures were verified against the specified public key/);
    await verify(["verify"], `${images.host}/ordermesh:signed`);
  });

  test("has its bill of materials, by the same key", async () => {
    const said = await verify(["verify-attestation", "--type", "cyclonedx"], signed);
    const { payload } = JSON.parse(said.split("\n").find((line) => line.startsWith("{")) ?? "{}") as {
      payload: string;
    };
    const statement = JSON.parse(Buffer.from(payload, "base64").toString()) as {
      predicateType: string;
      predicate: { components: { name: string }[] };
      subject: { digest: { sha256: string } }[];
    };
    assert.equal(statement.predicateType, "https://cyclonedx.org/bom");
    assert.deepEqual(
      statement.predicate.components.map(({ name }) => name),
      ["jose"],
    );
    assert.ok(signed.endsWith(statement.subject[0]?.digest.sha256 ?? "none"));
  });

  test("is not by another key, and another image is not at all", async () => {
    await assert.rejects(verify(["verify"], signed, "stranger.pub"), /no matching signatures|invalid signature/);
    await assert.rejects(
      verify(["verify-attestation", "--type", "cyclonedx"], signed, "stranger.pub"),
      /no matching attestations|invalid signature/,
    );
    await assert.rejects(verify(["verify"], other), /no signatures found/);
  });
});
