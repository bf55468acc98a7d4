import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { keyFile, kubeconfigOf } from "./keys.ts";
import { network, nodeName, paths } from "./layout.ts";

/** The files that the node's processes read their settings from. */
export const settings = {
  containerd: join(paths.config, "containerd.toml"),
  kubelet: join(paths.config, "kubelet.json"),
  kubeProxy: join(paths.config, "kube-proxy.json"),
  cni: join(paths.config, "cni"),
  resolver: join(paths.config, "resolv.conf"),
} as const;

/** The image that holds the namespaces of a pod. */
export const pauseImage = "localhost/pause:local";

/** Writes them, once: kube-proxy ends when its file changes. */
export function writeSettings(pluginFolder: string): void {
  if (existsSync(settings.kubeProxy)) return;
  mkdirSync(settings.cni, { recursive: true });
  writeFileSync(settings.containerd, containerd(pluginFolder));
  writeFileSync(join(settings.cni, "10-bridge.conflist"), JSON.stringify(bridge));
  // Empty: a pod must not ask this machine's name servers.
  writeFileSync(settings.resolver, "");
  writeFileSync(settings.kubelet, JSON.stringify(kubelet));
  writeFileSync(settings.kubeProxy, JSON.stringify(kubeProxy));
}

/** restrict_oom_score_adj: virtual machines may lack CAP_SYS_RESOURCE, and runc fails where it may not lower the score. */
function containerd(pluginFolder: string): string {
  const cri = `plugins."io.containerd.grpc.v1.cri"`;
  return `version = 2
root = "${paths.containerd}"
state = "${join(paths.run, "containerd")}"
[grpc]
address = "${paths.socket}"
[${cri}]
sandbox_image = "${pauseImage}"
restrict_oom_score_adj = true
[${cri}.cni]
bin_dir = "${pluginFolder}"
conf_dir = "${settings.cni}"
[${cri}.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
`;
}

/** No masquerading: pods reach each other, services and this node, and nothing beyond. */
const bridge = {
  cniVersion: "0.4.0",
  name: "ordermesh",
  plugins: [
    {
      type: "bridge",
      bridge: network.bridge,
      isGateway: true,
      hairpinMode: true,
      ipam: {
        type: "host-local",
        dataDir: join(paths.run, "addresses"),
        ranges: [[{ subnet: network.pods }]],
        routes: [{ dst: "0.0.0.0/0" }],
      },
    },
    { type: "portmap", capabilities: { portMappings: true }, snat: true },
  ],
};

const kubelet = {
  apiVersion: "kubelet.config.k8s.io/v1beta1",
  kind: "KubeletConfiguration",
  address: network.node,
  authentication: {
    anonymous: { enabled: false },
    webhook: { enabled: true },
    x509: { clientCAFile: keyFile("ca.crt") },
  },
  authorization: { mode: "Webhook" },
  tlsCertFile: keyFile("kubelet.crt"),
  tlsPrivateKeyFile: keyFile("kubelet.key"),
  cgroupDriver: "cgroupfs",
  failCgroupV1: false,
  failSwapOn: false,
  oomScoreAdj: 0,
  clusterDomain: "cluster.local",
  clusterDNS: [network.dns],
  resolvConf: settings.resolver,
  containerRuntimeEndpoint: `unix://${paths.socket}`,
  podLogsDir: join(paths.log, "pods"),
  // The disk belongs to others as well: nobody else's files may cost a pod its life, or an image its place.
  imageGCHighThresholdPercent: 100,
  evictionHard: {
    "memory.available": "100Mi",
    "nodefs.available": "1%",
    "imagefs.available": "1%",
    "nodefs.inodesFree": "1%",
    "imagefs.inodesFree": "1%",
  },
};

const kubeProxy = {
  apiVersion: "kubeproxy.config.k8s.io/v1alpha1",
  kind: "KubeProxyConfiguration",
  mode: "iptables",
  clusterCIDR: network.pods,
  clientConnection: { kubeconfig: kubeconfigOf("kube-proxy") },
  hostnameOverride: nodeName,
  oomScoreAdj: 0,
  nodePortAddresses: [`${network.node}/32`],
  healthzBindAddress: "127.0.0.1:10256",
  metricsBindAddress: "127.0.0.1:10249",
  iptables: { minSyncPeriod: "100ms" },
  conntrack: { maxPerCore: 0 },
};
