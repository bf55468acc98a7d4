import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { run } from "../../deploy/command/run.ts";
import type { Say } from "../tools/tool.ts";
import { memoryOf, pidOf, startDaemon, stopDaemons, until } from "./daemons.ts";
import { ClusterError } from "./errors.ts";
import { ctr, loadProgram } from "./images.ts";
import { makeKeys } from "./keys.ts";
import { Kubectl } from "./kubectl.ts";
import { network, nodeName, paths } from "./layout.ts";
import { installPackages, missingPackages, pluginFolder, whyNoNode } from "./machine.ts";
import { type ProcessName, processNames, processOf } from "./processes.ts";
import { buildPrograms } from "./programs.ts";
import { settings, writeSettings } from "./settings.ts";

const addons = ["policies", "dns", "metrics"] as const;
const table = "ordermesh-policy";

/** Runs a command of the system. */
const system = (command: string, ...args: string[]) => run(command, args, { timeoutMs: 30_000 });

/** Starts the node of this machine and returns when pods can run and names resolve. What runs already stays. */
export async function startNode(say: Say): Promise<Kubectl> {
  const reason = await whyNoNode();
  if (reason) throw new ClusterError(reason);
  await installPackages(missingPackages(), say);
  await buildPrograms(say);
  const start = performance.now();
  for (const folder of [paths.config, paths.run, paths.log, paths.etcd]) mkdirSync(folder, { recursive: true });
  await makeKeys();
  writeSettings(pluginFolder());
  await openNetwork();
  await startControlPlane();
  const kubectl = new Kubectl(paths.kubeconfig);
  await startPods(kubectl);
  say(`the node is ready after ${((performance.now() - start) / 1_000).toFixed(1)} s`);
  return kubectl;
}

/** The bridge that pods are on, and a way from this machine to service addresses. */
async function openNetwork(): Promise<void> {
  await system("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.bridge.bridge-nf-call-iptables=1");
  if (!existsSync(`/sys/class/net/${network.bridge}`)) {
    await system("ip", "link", "add", network.bridge, "type", "bridge");
  }
  await system("ip", "address", "replace", `${network.node}/24`, "dev", network.bridge);
  await system("ip", "link", "set", network.bridge, "up");
  await system("ip", "route", "replace", network.services, "dev", network.bridge, "src", network.node);
}

async function startControlPlane(): Promise<void> {
  const start = (name: ProcessName) => startDaemon(processOf(name));
  start("etcd");
  start("containerd");
  await until("containerd's start", 30, () => ctr(["version"]), "containerd");
  await loadProgram("pause");
  await loadProgram("coredns");
  await loadProgram("metrics-server");
  start("kube-apiserver");
  const kubectl = new Kubectl(paths.kubeconfig);
  await until("the API server's start", 90, () => kubectl.run(["get", "--raw", "/readyz"]), "kube-apiserver");
  for (const name of processNames) start(name);
}

async function startPods(kubectl: Kubectl): Promise<void> {
  for (const addon of addons) {
    await kubectl.apply(readFileSync(join(import.meta.dirname, "addons", `${addon}.yaml`), "utf8"));
  }
  await until("the kubelet's registration", 60, () => kubectl.run(["get", "node", nodeName]), "kubelet");
  const ready = ["wait", "--for=condition=Ready", `node/${nodeName}`, "--timeout=90s"];
  await kubectl.run(ready, { timeoutMs: 100_000 });
  const dns = ["-n", "kube-system", "rollout", "status", "deployment/coredns", "--timeout=120s"];
  await kubectl.run(dns, { timeoutMs: 130_000 });
}

/** Ends the node with everything that ran on it, and forgets the cluster. Images and programs stay. */
export async function stopNode(): Promise<void> {
  await stopDaemons(processNames.filter((name) => name !== "containerd"));
  if (pidOf("containerd") !== undefined) {
    await removeContainers();
    await stopDaemons(["containerd"]);
  }
  await unmountBelow(paths.run);
  await unmountBelow(paths.kubelet);
  await forgetRules();
  for (const folder of [paths.etcd, paths.kubelet, paths.run, paths.config, paths.keys, paths.log]) {
    rmSync(folder, { recursive: true, force: true });
  }
  rmSync(paths.kubeconfig, { force: true });
  removeGroups();
}

/** Removing a task ends its processes, and the shim that holds it. */
async function removeContainers(): Promise<void> {
  const tasks = (await ctr(["tasks", "ls", "-q"])).split("\n").filter(Boolean);
  for (const id of tasks) await ctr(["tasks", "rm", "--force", id]).catch(() => "");
  const containers = (await ctr(["containers", "ls", "-q"])).split("\n").filter(Boolean);
  const namespaces = new Set<string>();
  for (const id of containers) {
    const about = await ctr(["containers", "info", id]).catch(() => "");
    for (const [, name = ""] of about.matchAll(/"path": "\/(?:var\/)?run\/netns\/([^"]+)"/g)) namespaces.add(name);
    await ctr(["containers", "rm", id]).catch(() => "");
  }
  for (const name of namespaces) await system("ip", "netns", "delete", name).catch(() => "");
}

async function unmountBelow(folder: string): Promise<void> {
  const mounted = readFileSync("/proc/mounts", "utf8").split("\n");
  const places = mounted
    .map((line) => line.split(" ")[1] ?? "")
    .filter((place) => `${place}/`.startsWith(`${folder}/`));
  // The innermost first; the kubelet mounts its own folder as well.
  for (const place of places.reverse()) await system("umount", "--lazy", place).catch(() => "");
}

/** The chains of kube-proxy, of the kubelet and of the plugins; everybody else's rules stay. */
async function forgetRules(): Promise<void> {
  for (const tables of ["iptables", "ip6tables"]) {
    const script = `${tables}-save | grep -vE 'KUBE-|CNI-' | ${tables}-restore`;
    // biome-ignore lint/plugin/shell: the text is this function's
    await system("/bin/sh", "-c", script).catch(() => "");
  }
  await system("nft", "delete", "table", "ip", table).catch(() => "");
  await system("ip", "route", "delete", network.services, "dev", network.bridge).catch(() => "");
  await system("ip", "link", "delete", network.bridge).catch(() => "");
  const leases = "/var/lib/cni/results";
  for (const name of existsSync(leases) ? readdirSync(leases) : []) {
    if (/^(?:ordermesh|cni-loopback)-/.test(name)) rmSync(join(leases, name), { force: true });
  }
}

/** The kubelet's control groups, which it leaves behind empty. */
function removeGroups(): void {
  const remove = (folder: string): void => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      if (entry.isDirectory()) remove(join(folder, entry.name));
    }
    try {
      rmdirSync(folder);
    } catch {
      // One that is still in use goes with its last process.
    }
  };
  const hierarchies = ["", ...readdirSync("/sys/fs/cgroup")].map((name) => join("/sys/fs/cgroup", name, "kubepods"));
  for (const folder of hierarchies) if (existsSync(folder)) remove(folder);
}

/** One line for each process of the node. */
export function nodeStatus(): string[] {
  return processNames.map((name) => {
    const pid = pidOf(name);
    const state = pid === undefined ? "stopped" : `pid ${String(pid).padEnd(7)} ${memoryOf(pid)} MiB`;
    return `${name.padEnd(24)} ${state}`;
  });
}

/** Whether the node of this machine runs. */
export function nodeRuns(): boolean {
  return existsSync(settings.kubeProxy) && pidOf("kube-apiserver") !== undefined && pidOf("kubelet") !== undefined;
}
