import { cp } from "node:fs/promises";
import { join } from "node:path";
import { root } from "../../deploy/command/checkout.ts";
import { run } from "../../deploy/command/run.ts";
import { buildEnvironment } from "./config.ts";
import type { Recipe } from "./recipe.ts";

const folder = "examples/gateway-go";
const timeoutMs = 10 * 60_000;

/** Builds the connector in Go as it is in this checkout, beside it: the contract's code is generated there. */
export const goExampleRecipe: Recipe = {
  says: "building with Go",
  usually: "a minute",
  async missing() {
    const present = await run("go", ["version"], { timeoutMs: 20_000 }).catch(() => undefined);
    return present ? undefined : "install Go 1.25 or newer (https://go.dev/dl), or put it on PATH";
  },
  async run({ workshop, result }) {
    const source = join(workshop, "source");
    await cp(join(root, folder), source, { recursive: true });
    const env = buildEnvironment({ CGO_ENABLED: "0", GOFLAGS: "-mod=readonly -trimpath -buildvcs=false -ldflags=-s" });
    const here = { cwd: root, env, timeoutMs };
    await run(process.execPath, ["dev/tools/print-validate-proto.ts"], here);
    const generate = ["generate", "--template", join(folder, "buf.gen.yaml"), "--output", source];
    await run(join(root, "node_modules/.bin/buf"), generate, here);
    const build = ["-n", "15", "go", "build", "-o", join(result, "gateway-go"), "."];
    await run("nice", build, { ...here, cwd: source });
  },
};
