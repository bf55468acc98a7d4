import { existsSync, readFileSync } from "node:fs";
import { run } from "../../deploy/command/run.ts";
import type { Say } from "../tools/tool.ts";
import { ClusterError } from "./errors.ts";

/** The programs of the distribution that a node needs, each with the Debian package that has it. */
const distribution = {
  containerd: "containerd",
  runc: "runc",
  iptables: "iptables",
  nft: "nftables",
  conntrack: "conntrack",
  openssl: "openssl",
  ip: "iproute2",
} as const;
const folders = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
const pluginPackage = "containernetworking-plugins";
const installer = "/usr/bin/apt-get";
/** Where Debian and where others keep the plugins. */
const pluginFolders = ["/usr/lib/cni", "/opt/cni/bin"];
/** Named as in /lib/modules; a kernel may have them built in. */
const kernelModules = ["overlay", "veth", "bridge", "br_netfilter", "nf_tables"] as const;

/** The folder of the network plugins. */
export function pluginFolder(): string {
  const folder = pluginFolders.find((place) => existsSync(`${place}/bridge`));
  if (folder === undefined) throw new ClusterError(`The network plugins are missing: install ${pluginPackage}.`);
  return folder;
}

/**
 * Why no node can be started on this machine, in one sentence; undefined when nothing speaks against it. Packages of the
 * distribution do not: they can be installed.
 */
export async function whyNoNode(): Promise<string | undefined> {
  if (process.platform !== "linux") return "A node runs on Linux only.";
  if (process.getuid?.() !== 0) return "A node needs root, for namespaces, mounts and the packet filter: run as root.";
  if (missingPackages().length > 0 && !canInstall()) {
    return `Install ${missingPackages().join(", ")}; they are called so in Debian.`;
  }
  const lacking = [];
  for (const name of kernelModules) if (!(await hasModule(name))) lacking.push(name);
  return lacking.length > 0 ? `This kernel has no ${lacking.join(", ")}, which a node needs.` : undefined;
}

async function hasModule(name: string): Promise<boolean> {
  if (existsSync(`/sys/module/${name}`)) return true;
  if (name === "overlay") return readFileSync("/proc/filesystems", "utf8").includes("\toverlay\n");
  if (name === "br_netfilter" && existsSync("/proc/sys/net/bridge")) return true;
  return run("modprobe", [name], { timeoutMs: 10_000 }).then(
    () => true,
    () => isBuiltIn(name),
  );
}

/** The kernel's own configuration, where it shows it. */
async function isBuiltIn(name: string): Promise<boolean> {
  const option = { overlay: "OVERLAY_FS", br_netfilter: "BRIDGE_NETFILTER" }[name] ?? name.toUpperCase();
  const configuration = await run("zcat", ["/proc/config.gz"], { timeoutMs: 10_000 }).catch(() => "");
  // It is longer than what is kept of a command's output, so it is asked for one line.
  if (configuration.includes(`CONFIG_${option}=y`)) return true;
  const found = await run("zgrep", ["-c", `^CONFIG_${option}=y`, "/proc/config.gz"], { timeoutMs: 10_000 }).catch(
    () => "0",
  );
  return Number(found) > 0;
}

/** Whether packages of the distribution can be installed here. */
export function canInstall(): boolean {
  return process.getuid?.() === 0 && existsSync(installer);
}

/** The packages of the distribution that a node needs and that are not there. */
export function missingPackages(): string[] {
  const programs = Object.entries(distribution).filter(
    ([program]) => !folders.some((folder) => existsSync(`${folder}/${program}`)),
  );
  const plugins = pluginFolders.some((folder) => existsSync(`${folder}/bridge`)) ? [] : [pluginPackage];
  return [...programs.map(([, name]) => name), ...plugins];
}

/** Installs packages of the distribution. @throws Error with what apt-get said when it cannot */
export async function installPackages(missing: readonly string[], say: Say): Promise<void> {
  if (missing.length === 0) return;
  say(`installing ${missing.join(", ")} with apt-get`);
  const env = { ...aptEnvironment, PATH: folders.join(":") };
  const install = ["install", "-y", "-q", "--no-install-recommends", ...missing];
  await run("apt-get", ["update", "-q"], { env, timeoutMs: 180_000 });
  await run("apt-get", install, { env, timeoutMs: 600_000 });
}

const aptEnvironment = { DEBIAN_FRONTEND: "noninteractive" };
