/** A chart of somebody else, at one version. */
export interface ChartStep {
  readonly kind: "chart";
  readonly name: string;
  readonly chart: string;
  readonly repository: string;
  readonly version: string;
  readonly namespace: string;
}

/** Resources of ours: a file, or a folder with a kustomization. */
export interface ResourceStep {
  readonly kind: "resources";
  readonly name: string;
  /** Relative to the repository. */
  readonly path: string;
  readonly kustomize?: boolean;
  readonly namespace?: string;
  /** What must be true before the next step: arguments of `kubectl wait`. */
  readonly wait?: readonly string[];
}

/** Secrets that are made where they are missing. */
export interface SecretStep {
  readonly kind: "secrets";
  readonly name: string;
}

/** A secret that one namespace makes and another one needs. */
export interface CopyStep {
  readonly kind: "copy";
  readonly name: string;
  readonly secret: string;
  readonly from: string;
  readonly to: string;
  /** What of it; a private key stays where it is. */
  readonly keys: readonly string[];
}

/** One thing that is installed. */
export type Step = ChartStep | ResourceStep | SecretStep | CopyStep;

const resources = "deploy/infrastructure/resources";

/** Everything that the mesh needs, in the order in which it is installed. The only place that names the versions. */
export const steps: readonly Step[] = [
  { kind: "resources", name: "namespaces", path: `${resources}/namespaces.yaml` },
  {
    kind: "chart",
    name: "cert-manager",
    chart: "cert-manager",
    repository: "https://charts.jetstack.io",
    version: "v1.21.2",
    namespace: "cert-manager",
  },
  {
    kind: "resources",
    name: "issuer",
    path: `${resources}/issuer.yaml`,
    wait: ["--for=condition=Ready", "clusterissuer/ordermesh", "--timeout=2m"],
  },
  {
    kind: "chart",
    name: "kube-prometheus-stack",
    chart: "kube-prometheus-stack",
    repository: "https://prometheus-community.github.io/helm-charts",
    version: "92.20.0",
    namespace: "monitoring",
  },
  {
    kind: "chart",
    name: "cloudnative-pg",
    chart: "cloudnative-pg",
    repository: "https://cloudnative-pg.github.io/charts",
    version: "0.29.1",
    namespace: "cnpg-system",
  },
  {
    kind: "chart",
    name: "barman-cloud",
    chart: "plugin-barman-cloud",
    repository: "https://cloudnative-pg.github.io/charts",
    version: "0.8.0",
    namespace: "cnpg-system",
  },
  { kind: "secrets", name: "secrets" },
  {
    kind: "resources",
    name: "postgres",
    path: `${resources}/postgres.yaml`,
    namespace: "databases",
    wait: ["--for=condition=Ready", "cluster/postgres", "--timeout=15m"],
  },
  {
    kind: "copy",
    name: "postgres-ca",
    secret: "postgres-ca",
    from: "databases",
    to: "ordermesh",
    keys: ["ca.crt"],
  },
  {
    kind: "chart",
    name: "temporal",
    chart: "temporal",
    repository: "https://go.temporal.io/helm-charts",
    version: "1.1.1",
    namespace: "temporal",
  },
  {
    kind: "resources",
    name: "jaeger",
    path: `${resources}/jaeger.yaml`,
    namespace: "tracing",
    wait: ["--for=jsonpath={.status.readyReplicas}=1", "statefulset/jaeger", "--timeout=5m"],
  },
  {
    kind: "chart",
    name: "eck-operator",
    chart: "eck-operator",
    repository: "https://helm.elastic.co",
    version: "3.5.0",
    namespace: "elastic-system",
  },
  { kind: "resources", name: "elk", path: "deploy/observability/elk", kustomize: true },
  {
    kind: "resources",
    name: "valkey",
    path: `${resources}/valkey.yaml`,
    namespace: "cache",
    wait: ["--for=jsonpath={.status.readyReplicas}=1", "statefulset/valkey", "--timeout=5m"],
  },
  {
    kind: "resources",
    name: "nats",
    path: `${resources}/nats.yaml`,
    namespace: "events",
    wait: ["--for=jsonpath={.status.readyReplicas}=1", "statefulset/nats", "--timeout=5m"],
  },
  { kind: "copy", name: "nats-ca", secret: "nats-tls", from: "events", to: "ordermesh", keys: ["ca.crt"] },
  { kind: "resources", name: "rules", path: "deploy/observability/prometheus", kustomize: true },
  { kind: "resources", name: "dashboards", path: "deploy/observability/grafana", kustomize: true },
];
