import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const main = fileURLToPath(new URL("../../src/main.ts", import.meta.url));

test("a worker without keys names them with everything else that is missing", async () => {
  const said = await new Promise<string>((resolve) => {
    execFile(process.execPath, [main], { env: { LOG_LEVEL: "loud" } }, (_error, _stdout, stderr) => resolve(stderr));
  });
  const missing = ["GRPC_PORT: is not set", "PAGE_TOKEN_SECRET: is not set", "LOG_LEVEL: must be one of"];
  for (const problem of [...missing, "TEMPORAL_CODEC_KEYS or TEMPORAL_CODEC_KEYS_FILE: is not set"]) {
    assert.ok(said.includes(`\n  ${problem}`), `${problem} is missing in: ${said}`);
  }
});
