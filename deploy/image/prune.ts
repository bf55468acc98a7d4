// `node prune.ts <node_modules>`: removes from installed dependencies what never runs in the image. Uses nothing but Node,
// since it runs while the image is built.
import { readdirSync, realpathSync, rmSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";

/** The platform as Temporal's core names it in its folders. */
function coreTarget(): string {
  const machine = process.arch === "arm64" ? "aarch64" : "x86_64";
  return `${machine}-unknown-linux-gnu`;
}

/**
 * Whether the file or folder at this path below node_modules is left out: type declarations, source maps, the forms of Swagger UI
 * that no page asks for, the sources of Temporal's core (Rust) and its builds for other platforms. Licences stay.
 */
export function isLeftOut(path: string): boolean {
  const parts = path.split(sep);
  if (/\.(?:d\.[cm]?ts|map)$/.test(path)) return true;
  if (/swagger-ui-dist.swagger-ui(?:|-es-.*|-standalone-.*)\.js$/.test(path)) return true;
  const core = parts.lastIndexOf("core-bridge");
  if (core < 1 || parts[core - 1] !== "@temporalio") return false;
  const [folder, target] = parts.slice(core + 1);
  if (folder === "releases") return target !== undefined && target !== coreTarget();
  return folder !== undefined && ["sdk-core", "bridge-macros", "src", "ts", "scripts"].includes(folder);
}

/** Removes what is left out below a folder; returns how many files and folders were removed. */
export function prune(root: string): number {
  let removed = 0;
  const visit = (folder: string): void => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      if (isLeftOut(relative(root, path))) {
        rmSync(path, { recursive: true });
        removed += 1;
      } else if (entry.isDirectory()) {
        visit(path);
      }
    }
  };
  visit(root);
  return removed;
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const [, , folder] = process.argv;
  if (folder === undefined) throw new Error("say which folder: node prune.ts <node_modules>");
  console.log(`left out ${prune(folder)} files and folders`);
}
