// Adds to package-lock.json the platform packages that `npm install` left out. npm writes no entry for an optional
// dependency whose version its registry does not serve, and `npm ci` then refuses the whole lock, on every machine.
// Versions come from the parent's exact pin, so nothing is guessed; entries added here carry no integrity.
// `--check` only reports.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../../deploy/command/checkout.ts";

interface LockEntry {
  version?: string;
  dev?: boolean;
  optional?: boolean;
  os?: string[];
  cpu?: string[];
  libc?: string[];
  optionalDependencies?: Record<string, string>;
}

interface Lock {
  packages: Record<string, LockEntry>;
}

const file = join(root, "package-lock.json");
const systems = ["aix", "android", "darwin", "freebsd", "linux", "netbsd", "openbsd", "openharmony", "sunos", "win32"];
const processors = ["arm64", "arm", "ia32", "loong64", "mips64el", "ppc64", "riscv64", "s390x", "universal", "x64"];

/** What a platform package's name says: "@biomejs/cli-linux-x64-musl" is linux, x64, musl. */
function platformOf(name: string): Pick<LockEntry, "os" | "cpu" | "libc"> {
  const os = systems.find((system) => name.includes(system === "win32" ? "win" : system));
  const cpu = processors.find((processor) => name.includes(processor));
  const libc = name.includes("musl") ? "musl" : /gnu|glibc/.test(name) && os === "linux" ? "glibc" : undefined;
  return { ...(os && { os: [os] }), ...(cpu && { cpu: [cpu] }), ...(libc && { libc: [libc] }) };
}

function missingFrom(lock: Lock): [path: string, entry: LockEntry][] {
  return Object.values(lock.packages).flatMap((parent) =>
    Object.entries(parent.optionalDependencies ?? {})
      .filter(([name]) => !Object.keys(lock.packages).some((path) => path.endsWith(`node_modules/${name}`)))
      .map(([name, version]): [string, LockEntry] => [
        `node_modules/${name}`,
        { version: version.replace(/^\^/, ""), ...platformOf(name), ...(parent.dev && { dev: true }), optional: true },
      ]),
  );
}

const lock = JSON.parse(readFileSync(file, "utf8")) as Lock;
const missing = missingFrom(lock);
const [wish, ...more] = process.argv.slice(2);
if (more.length > 0 || !["--check", undefined].includes(wish)) {
  console.log(`Adds to package-lock.json the platform packages that \`npm install\` left out.

  npm run lock               adds them
  npm run lock -- --check    only says which are missing, and ends with 1 when some are`);
  process.exitCode = wish === "--help" ? 0 : 2;
} else if (wish === "--check") {
  if (missing.length > 0) {
    console.error(
      `package-lock.json lacks ${missing.map(([path]) => path.slice("node_modules/".length)).join(", ")}: run \`npm run lock\`.`,
    );
    process.exitCode = 1;
  }
} else if (missing.length > 0) {
  const { "": root, ...packages } = lock.packages;
  const sorted = Object.entries({ ...packages, ...Object.fromEntries(missing) }).sort(([a], [b]) => (a < b ? -1 : 1));
  lock.packages = { ...(root && { "": root }), ...Object.fromEntries(sorted) };
  writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
  console.log(`added ${missing.length} platform packages to package-lock.json`);
}
