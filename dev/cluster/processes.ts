import type { Daemon } from "./daemons.ts";
import { keyFile, kubeconfigOf } from "./keys.ts";
import { network, nodeName, paths } from "./layout.ts";
import { programPath } from "./programs.ts";
import { settings } from "./settings.ts";

/** The node's processes, in the order in which they start; they are stopped the other way round. */
export const processNames = [
  "etcd",
  "containerd",
  "kube-apiserver",
  "kube-controller-manager",
  "kube-scheduler",
  "kubelet",
  "kube-proxy",
  "network-policies",
] as const;
export type ProcessName = (typeof processNames)[number];

const localhost = "127.0.0.1";
const flags = (values: Readonly<Record<string, string>>) =>
  Object.entries(values).map(([name, value]) => `--${name}=${value}`);

const argumentsOf: Readonly<Record<ProcessName, readonly string[]>> = {
  etcd: flags({
    name: nodeName,
    "data-dir": paths.etcd,
    // What is kept is thrown away with the cluster.
    "unsafe-no-fsync": "true",
    "log-level": "warn",
    "listen-client-urls": `http://${localhost}:2379`,
    "advertise-client-urls": `http://${localhost}:2379`,
    "listen-peer-urls": `http://${localhost}:2380`,
    "initial-advertise-peer-urls": `http://${localhost}:2380`,
    "initial-cluster": `${nodeName}=http://${localhost}:2380`,
  }),
  containerd: ["--config", settings.containerd],
  "kube-apiserver": flags({
    "etcd-servers": `http://${localhost}:2379`,
    "bind-address": network.node,
    "advertise-address": network.node,
    "service-cluster-ip-range": network.services,
    "allow-privileged": "true",
    "authorization-mode": "Node,RBAC",
    "enable-admission-plugins": "NodeRestriction",
    "token-auth-file": keyFile("tokens.csv"),
    "client-ca-file": keyFile("ca.crt"),
    "tls-cert-file": keyFile("api.crt"),
    "tls-private-key-file": keyFile("api.key"),
    "kubelet-certificate-authority": keyFile("ca.crt"),
    "kubelet-client-certificate": keyFile("api-to-kubelet.crt"),
    "kubelet-client-key": keyFile("api-to-kubelet.key"),
    "kubelet-preferred-address-types": "InternalIP",
    "service-account-issuer": "https://kubernetes.default.svc.cluster.local",
    "service-account-key-file": keyFile("accounts.pub"),
    "service-account-signing-key-file": keyFile("accounts.key"),
    "requestheader-client-ca-file": keyFile("ca.crt"),
    "requestheader-allowed-names": "front-proxy",
    "requestheader-username-headers": "X-Remote-User",
    "requestheader-group-headers": "X-Remote-Group",
    "requestheader-extra-headers-prefix": "X-Remote-Extra-",
    "proxy-client-cert-file": keyFile("front-proxy.crt"),
    "proxy-client-key-file": keyFile("front-proxy.key"),
  }),
  "kube-controller-manager": flags({
    kubeconfig: kubeconfigOf("kube-controller-manager"),
    "bind-address": localhost,
    // There is one of each, so nobody to elect.
    "leader-elect": "false",
    "use-service-account-credentials": "true",
    "service-account-private-key-file": keyFile("accounts.key"),
    "root-ca-file": keyFile("ca.crt"),
    // Tests wait for the autoscaler, which looks every 15 s unless told otherwise.
    "horizontal-pod-autoscaler-sync-period": "5s",
    "horizontal-pod-autoscaler-initial-readiness-delay": "5s",
  }),
  "kube-scheduler": flags({
    kubeconfig: kubeconfigOf("kube-scheduler"),
    "bind-address": localhost,
    "leader-elect": "false",
  }),
  kubelet: flags({
    config: settings.kubelet,
    kubeconfig: kubeconfigOf("kubelet"),
    "root-dir": paths.kubelet,
    "hostname-override": nodeName,
    "node-ip": network.node,
  }),
  "kube-proxy": flags({ config: settings.kubeProxy }),
  "network-policies": [],
};

/** How to start one of them. */
export function processOf(name: ProcessName): Daemon {
  if (name === "containerd") return { name, command: "containerd", args: argumentsOf[name] };
  const env = { KUBECONFIG: kubeconfigOf("network-policies") };
  return { name, command: programPath("node"), args: [name, ...argumentsOf[name]], env };
}
