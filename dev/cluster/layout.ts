import { join } from "node:path";
import { cacheDirectory } from "../tools/config.ts";
import { generation } from "./versions.ts";

/** Where the node of this machine keeps everything that is lost when it goes down; there is one node on a machine. */
export const stateDirectory = join(cacheDirectory, "cluster");

/** The folders and files of the node. */
export const paths = {
  keys: join(stateDirectory, "keys"),
  config: join(stateDirectory, "config"),
  run: join(stateDirectory, "run"),
  log: join(stateDirectory, "log"),
  etcd: join(stateDirectory, "etcd"),
  kubelet: join(stateDirectory, "kubelet"),
  /** Images outlive the cluster. */
  containerd: join(cacheDirectory, "cluster-images", generation),
  kubeconfig: join(stateDirectory, "kubeconfig"),
  socket: join(stateDirectory, "run/containerd.sock"),
} as const;

/** The node's name. */
export const nodeName = "ordermesh-node";

/**
 * Addresses of the cluster. The node's own is that of the bridge that its pods are on: the same on every machine, reached
 * by pods without a detour, and nobody else's.
 */
export const network = {
  bridge: "ordermesh0",
  node: "10.42.0.1",
  pods: "10.42.0.0/24",
  services: "10.43.0.0/16",
  api: "10.43.0.1",
  dns: "10.43.0.10",
} as const;

/** Where the API server answers. */
export const apiUrl = `https://${network.node}:6443`;
