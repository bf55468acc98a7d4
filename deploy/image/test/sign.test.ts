// How an image is signed; what cosign makes of it is tried by dev/supply/test/signature.test.ts, where there is one.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { root } from "../../command/checkout.ts";
import { byDigest, signImage, whyNotSigned } from "../sign.ts";

const digest = `sha256:${"ab".repeat(32)}`;

for (const [tag, image] of [
  ["registry.example/shop/ordermesh:1.4.0", `registry.example/shop/ordermesh@${digest}`],
  ["localhost:5000/ordermesh:dev", `localhost:5000/ordermesh@${digest}`],
  ["localhost:5000/ordermesh", `localhost:5000/ordermesh@${digest}`],
] as const) {
  test(`${tag} is signed by its digest`, () => assert.equal(byDigest(tag, digest), image));
}

describe("an image", () => {
  const folder = mkdtempSync(join(tmpdir(), "ordermesh-sign-"));
  const said = join(folder, "said");
  const { PATH } = process.env;
  const signing = { image: `registry.example/ordermesh@${digest}`, bill: "bom.cdx.json", key: "env://KEY" };

  /** A cosign that notes what it is told, and refuses one of its commands. */
  function standIn(refuses = "nothing"): void {
    const script = `#!/bin/sh\necho "$*" >> '${said}'\n[ "$1" != ${refuses} ] || { echo "wrong password" >&2; exit 1; }\n`;
    writeFileSync(join(folder, "cosign"), script);
    chmodSync(join(folder, "cosign"), 0o755);
  }

  before(() => {
    process.env.PATH = [folder, PATH].join(delimiter);
  });
  after(() => {
    process.env.PATH = PATH;
    rmSync(folder, { recursive: true });
  });

  test("is signed together with its bill of materials, by the key and nobody outside", async () => {
    standIn();
    assert.equal(await whyNotSigned(), undefined);
    writeFileSync(said, "");
    await signImage(signing);
    const alone = "--yes --tlog-upload=false --use-signing-config=false --new-bundle-format=false --key env://KEY";
    assert.deepEqual(readFileSync(said, "utf8").trim().split("\n"), [
      `sign ${alone} ${signing.image}`,
      `attest ${alone} --type cyclonedx --predicate bom.cdx.json ${signing.image}`,
    ]);
  });

  for (const command of ["sign", "attest"]) {
    test(`that cosign does not ${command} is no success`, async () => {
      standIn(command);
      await assert.rejects(signImage(signing), /cosign ended with code 1:\nwrong password/);
    });
  }
});

describe("npm run image -- --sign", () => {
  const build = (args: readonly string[]) =>
    spawnSync(process.execPath, [join(root, "deploy/image/build.ts"), ...args], {
      encoding: "utf8",
      timeout: 30_000,
      env: { PATH: "/nowhere" },
    });

  test("wants a registry to push to", () => {
    const { status, stderr } = build(["--sign", "cosign.key"]);
    assert.deepEqual(
      [status, stderr],
      [1, "--sign wants --push: a signature lies beside the image in its registry.\n"],
    );
  });

  test("says before it builds that there is no cosign", () => {
    const { status, stderr } = build(["--push", "--sign", "cosign.key"]);
    assert.equal(status, 1);
    assert.match(stderr, /^The image cannot be signed here: cosign is not on PATH \(.*\)\.\n$/);
  });
});
