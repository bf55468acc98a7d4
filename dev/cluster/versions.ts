/** What a node is made of. The only place that names these versions. */
export const versions = {
  /** k8s.io/kubernetes; the etcd that it is built with is the one that its go.mod names (3.6.4). */
  kubernetes: "v1.34.4",
  /** github.com/coredns/coredns. */
  coredns: "v1.12.0",
  /** sigs.k8s.io/metrics-server. */
  "metrics-server": "v0.9.0",
} as const;

/** Names what is built from these versions and our own sources; its number goes up when the sources change. */
export const generation = `${versions.kubernetes}-1`;
