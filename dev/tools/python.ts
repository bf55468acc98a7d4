import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { run } from "../../deploy/command/run.ts";
import type { Recipe } from "./recipe.ts";
import { versions } from "./versions.ts";

/** Asks what a program needs of Python to be there. */
const question = "import sys, pip; print(sys.version_info >= (3, 10))";

/** Python's packages of a program in a folder of their own, and a script that starts it: nothing of the system's Python is changed. */
export const schemathesisRecipe: Recipe = {
  says: "installing from PyPI",
  usually: "20 seconds",
  async missing() {
    const answer = await run("python3", ["-c", question], { timeoutMs: 20_000 }).catch(() => "");
    return answer.trim() === "True" ? undefined : "install Python 3.10 or newer with pip";
  },
  async run({ result, home }) {
    const wanted = `schemathesis==${versions.schemathesis}`;
    const args = ["-m", "pip", "install", "--quiet", "--no-input", "--target", join(result, "lib"), wanted];
    await run("python3", args, { timeoutMs: 5 * 60_000 });
    const script = `#!/bin/sh\nPYTHONPATH='${home}/lib' exec python3 -m schemathesis.cli "$@"\n`;
    await writeFile(join(result, "schemathesis"), script, { mode: 0o755 });
  },
};
