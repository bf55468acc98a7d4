import { chmod, copyFile, glob, readdir, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { run } from "../../deploy/command/run.ts";
import type { Recipe } from "./recipe.ts";
import type { ToolName } from "./versions.ts";

/** A program inside a package of Debian and its descendants. */
export interface DebianProgram {
  readonly name: ToolName;
  readonly package: string;
  /** What the package calls the program; the tool's own name when left out. */
  readonly program?: string;
  /** Where it lies in the package, as a pattern; `usr/bin` when left out. */
  readonly folder?: string;
  /** Packages of libraries that it needs and a machine may lack. */
  readonly libraries?: readonly string[];
  /** Where its authors offer it to everybody else. */
  readonly home: string;
}

/**
 * Takes a program out of a package without installing it, which needs no rights: its service, user and pages stay away.
 * For programs that need nothing of their package but themselves.
 */
export function debianPackage(wanted: DebianProgram): Recipe {
  const { name, program = name, folder = "usr/bin", libraries = [], home } = wanted;
  return {
    says: "unpacking the distribution's package",
    usually: "5 seconds",
    async missing() {
      for (const command of ["apt-get", "dpkg"]) {
        const present = await run(command, ["--version"], { timeoutMs: 20_000 }).catch(() => undefined);
        if (!present) return `install it (${home}), or put it on PATH`;
      }
      return undefined;
    },
    async run({ workshop, result }) {
      const packages = [wanted.package, ...libraries];
      await run("apt-get", ["download", ...packages], { cwd: workshop, timeoutMs: 5 * 60_000 });
      const files = (await readdir(workshop)).filter((entry) => entry.endsWith(".deb"));
      if (files.length < packages.length) throw new Error(`apt-get left no package ${packages.join(", ")}`);
      for (const file of files) await run("dpkg", ["-x", file, "unpacked"], { cwd: workshop, timeoutMs: 60_000 });
      const own = libraries.length > 0 ? `${name}.program` : name;
      for await (const found of glob(join("unpacked", folder, program), { cwd: workshop })) {
        await copyFile(join(workshop, found), join(result, own));
        await chmod(join(result, own), 0o755);
      }
      if (libraries.length > 0) await addLibraries({ workshop, result, name });
    },
  };
}

/** Puts a script in the program's place, which has it find the libraries beside it. */
async function addLibraries({
  workshop,
  result,
  name,
}: {
  workshop: string;
  result: string;
  name: string;
}): Promise<void> {
  for await (const found of glob("unpacked/usr/lib/*/*.so*", { cwd: workshop })) {
    await copyFile(join(workshop, found), join(result, basename(found)));
  }
  const script = `#!/bin/sh\nhere=$(dirname "$(readlink -f "$0")")\nLD_LIBRARY_PATH="$here" exec "$here/${name}.program" "$@"\n`;
  await writeFile(join(result, name), script, { mode: 0o755 });
}

/** PostgreSQL's pooler, with what it needs to look up names and to wait for many connections. */
export const poolerRecipe = debianPackage({
  name: "pgbouncer",
  package: "pgbouncer",
  folder: "usr/sbin",
  libraries: ["libc-ares2", "libevent-2.1-7"],
  home: "https://www.pgbouncer.org",
});

/** Holds what replicas of a service share for a moment. Its package has documents alone; the program is in that of its tools. */
export const storeRecipe = debianPackage({
  name: "redis-server",
  package: "redis-tools",
  program: "redis-check-rdb",
  libraries: ["libjemalloc2", "liblzf1"],
  home: "https://valkey.io/download",
});

/** Shows a process another time; with threads, as Node.js and its addons have them. */
export const clockRecipe = debianPackage({
  name: "libfaketime",
  package: "libfaketime",
  program: "libfaketimeMT.so.1",
  folder: "usr/lib/*/faketime",
  home: "https://github.com/wolfcw/libfaketime",
});

const prometheus = "https://prometheus.io/download";

/** Prometheus and what belongs to it. Debian's builds have no web page; their APIs are complete. */
export const prometheusRecipes = {
  prometheus: [debianPackage({ name: "prometheus", package: "prometheus", home: prometheus })],
  promtool: [debianPackage({ name: "promtool", package: "prometheus", home: prometheus })],
  amtool: [debianPackage({ name: "amtool", package: "prometheus-alertmanager", home: prometheus })],
  pushgateway: [
    debianPackage({
      name: "pushgateway",
      package: "prometheus-pushgateway",
      program: "prometheus-pushgateway",
      home: prometheus,
    }),
  ],
  postgres_exporter: [
    debianPackage({
      name: "postgres_exporter",
      package: "prometheus-postgres-exporter",
      program: "prometheus-postgres-exporter",
      home: "https://github.com/prometheus-community/postgres_exporter/releases",
    }),
  ],
} as const satisfies Partial<Record<ToolName, readonly Recipe[]>>;
