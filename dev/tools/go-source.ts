import { join } from "node:path";
import { run } from "../../deploy/command/run.ts";
import { buildEnvironment } from "./config.ts";
import type { Recipe } from "./recipe.ts";
import { type ToolName, versions } from "./versions.ts";

/** A program inside a Go module that `go install` refuses. */
export interface GoSource {
  readonly name: ToolName;
  readonly module: string;
  /** The folder of the program inside the module, beginning with "./". */
  readonly program: string;
  readonly usually: string;
  /** The oldest Go that the module takes; default 1.24. */
  readonly go?: string;
}

/**
 * Builds a program in its module's own folder, as the module's authors do, so that their replacements, exclusions and
 * checksums hold. `go install` ignores all of these, and refuses modules that have them.
 */
export function goSource({ name, module, program, usually, go = "1.24" }: GoSource): Recipe {
  return {
    says: "building with Go",
    usually,
    async missing() {
      const present = await run("go", ["version"], { timeoutMs: 20_000 }).catch(() => undefined);
      return present ? undefined : `install Go ${go} or newer (https://go.dev/dl), or put it on PATH`;
    },
    async run({ workshop, result }) {
      // The download runs outside of any module, the build inside of one that must not be written to.
      const download = ["mod", "download", "-json", `${module}@${versions[name]}`];
      const json = await run("go", download, { cwd: workshop, timeoutMs: 10 * 60_000 });
      const { Dir: cwd } = JSON.parse(json.slice(json.indexOf("{"))) as { Dir: string };
      const env = buildEnvironment({
        CGO_ENABLED: "0",
        GOFLAGS: "-mod=readonly -trimpath -buildvcs=false -ldflags=-s",
      });
      const build = ["-n", "15", "go", "build", "-o", join(result, name), program];
      await run("nice", build, { cwd, env, timeoutMs: 25 * 60_000 });
    },
  };
}
