/** One step that changes or chooses targets or series, as Prometheus calls it. */
export interface Relabeling {
  readonly source_labels?: readonly string[];
  readonly regex?: string;
  readonly target_label?: string;
  readonly replacement?: string;
  readonly action?: "keep" | "drop" | "labeldrop" | "replace";
}

/** Where a job's targets are found, and how they are asked. */
export interface ScrapeJob {
  readonly job_name: string;
  readonly honor_labels?: boolean;
  readonly metrics_path?: string;
  readonly params?: Readonly<Record<string, readonly string[]>>;
  readonly scrape_interval?: string;
  readonly scrape_timeout?: string;
  readonly sample_limit?: number;
  readonly label_limit?: number;
  readonly kubernetes_sd_configs?: readonly object[];
  readonly static_configs?: readonly StaticTargets[];
  readonly relabel_configs?: readonly Relabeling[];
  readonly metric_relabel_configs?: readonly Relabeling[];
}

/** Targets that do not move. */
export interface StaticTargets {
  readonly targets: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
}

/**
 * What a process says of itself that a target says too. Prometheus keeps the target's and renames the other: `service` is
 * the same in both, and Temporal's namespace is not Kubernetes's.
 */
export const ownLabels: readonly Relabeling[] = [
  { source_labels: ["exported_namespace"], regex: "(.+)", target_label: "temporal_namespace", replacement: "$1" },
  { regex: "exported_(service|namespace)", action: "labeldrop" },
];

/** More series than this from one process is a mistake, and better seen as a target that is down than as a dead Prometheus. */
export const seriesLimit = 20_000;

/** Rolls that Kubernetes knows a target in. */
type Meta = "pod_label_app_kubernetes_io_part_of" | "pod_label_app_kubernetes_io_name" | "pod_container_port_name";

const meta = (name: Meta | string) => `__meta_kubernetes_${name}`;

/** Pods of a part of the system whose port is called so, labelled by who they are. */
function discovery(partOf: string, port: string): Relabeling[] {
  return [
    { source_labels: [meta("pod_label_app_kubernetes_io_part_of")], regex: partOf, action: "keep" },
    { source_labels: [meta("pod_container_port_name")], regex: port, action: "keep" },
    { source_labels: [meta("pod_phase")], regex: "Succeeded|Failed", action: "drop" },
    { source_labels: [meta("pod_annotation_prometheus_io_scrape")], regex: "false", action: "drop" },
    { source_labels: [meta("namespace")], target_label: "namespace" },
    { source_labels: [meta("pod_label_app_kubernetes_io_name")], target_label: "service" },
    { source_labels: [meta("pod_name")], target_label: "pod" },
    { source_labels: [meta("pod_node_name")], target_label: "node" },
  ];
}

/** Asks the cluster for pods; needs a role that may list them. */
const pods = [{ role: "pod" }];

/** The jobs of a Prometheus that asks Kubernetes for its targets. */
export const kubernetesJobs: readonly ScrapeJob[] = [
  {
    job_name: "ordermesh",
    sample_limit: seriesLimit,
    kubernetes_sd_configs: pods,
    relabel_configs: discovery("ordermesh", "http"),
    metric_relabel_configs: ownLabels,
  },
  {
    job_name: "postgres-exporter",
    kubernetes_sd_configs: pods,
    relabel_configs: discovery("ordermesh-monitoring", "pg-metrics"),
  },
  {
    // What was pushed says itself which job it was.
    job_name: "pushgateway",
    honor_labels: true,
    kubernetes_sd_configs: pods,
    relabel_configs: discovery("ordermesh-monitoring", "push"),
  },
  {
    job_name: "monitoring",
    kubernetes_sd_configs: pods,
    relabel_configs: discovery("ordermesh-monitoring", "web"),
  },
];
