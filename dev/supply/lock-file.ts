// What is wrong with package-lock.json: packages that `npm ci` would not find in it, would take as they come, or from an address that only some reach.

/** A package of the lock file. */
export interface LockEntry {
  version?: string;
  /** The hash of what is installed, as Subresource Integrity has it. */
  integrity?: string;
  /** Where it was downloaded from. */
  resolved?: string;
  link?: boolean;
  dev?: boolean;
  optional?: boolean;
  os?: string[];
  cpu?: string[];
  libc?: string[];
  optionalDependencies?: Record<string, string>;
}

/** What of package-lock.json is read; by the paths of the packages. */
export interface Lock {
  packages: Record<string, LockEntry>;
}

const systems = ["aix", "android", "darwin", "freebsd", "linux", "netbsd", "openbsd", "openharmony", "sunos", "win32"];
const processors = ["arm64", "arm", "ia32", "loong64", "mips64el", "ppc64", "riscv64", "s390x", "universal", "x64"];

/** What a platform package's name says: "@biomejs/cli-linux-x64-musl" is linux, x64, musl. */
function platformOf(name: string): Pick<LockEntry, "os" | "cpu" | "libc"> {
  const os = systems.find((system) => name.includes(system === "win32" ? "win" : system));
  const cpu = processors.find((processor) => name.includes(processor));
  const libc = name.includes("musl") ? "musl" : /gnu|glibc/.test(name) && os === "linux" ? "glibc" : undefined;
  return { ...(os && { os: [os] }), ...(cpu && { cpu: [cpu] }), ...(libc && { libc: [libc] }) };
}

/** The platform packages that a lock file lacks. Versions come from the parent's exact pin, so nothing is guessed. */
export function missingFrom(lock: Lock): [path: string, entry: LockEntry][] {
  return Object.values(lock.packages).flatMap((parent) =>
    Object.entries(parent.optionalDependencies ?? {})
      .filter(([name]) => !Object.keys(lock.packages).some((path) => path.endsWith(`node_modules/${name}`)))
      .map(([name, version]): [string, LockEntry] => [
        `node_modules/${name}`,
        { version: version.replace(/^\^/, ""), ...platformOf(name), ...(parent.dev && { dev: true }), optional: true },
      ]),
  );
}

/** Without the packages that have no hash: npm asks for what is not there, and never for the hash of what is. */
export function withoutUnhashed(lock: Lock): Lock {
  const kept = Object.entries(lock.packages).filter(([path, entry]) => path === "" || entry.link || isHashed(entry));
  return { ...lock, packages: Object.fromEntries(kept) };
}

function isHashed({ integrity = "" }: LockEntry): boolean {
  return integrity.startsWith("sha512-");
}

/** A sentence for each package that is missing, has no hash, or says where it was downloaded. */
export function lockFaults(lock: Lock): string[] {
  const missing = missingFrom(lock).map(([path]) => `${path} is missing: \`npm ci\` refuses the whole file without it`);
  const others = Object.entries(lock.packages).flatMap(([path, entry]) => {
    if (path === "" || entry.link) return [];
    return [
      ...(isHashed(entry)
        ? []
        : [`${path} has no SHA-512: \`npm ci\` would install whatever is served under its name`]),
      ...(entry.resolved === undefined ? [] : [`${path} says where it was downloaded, which not everybody reaches`]),
    ];
  });
  return [...missing, ...others];
}
