import type { Resource } from "./charts.ts";

/** A container as a pod has it. */
export interface Container {
  readonly name: string;
  readonly image: string;
  readonly args: readonly string[];
  readonly securityContext: {
    readonly allowPrivilegeEscalation: boolean;
    readonly readOnlyRootFilesystem: boolean;
    readonly capabilities: { readonly drop: readonly string[]; readonly add?: readonly string[] };
    readonly privileged?: boolean;
  };
  readonly env?: readonly Variable[];
  readonly envFrom?: readonly { readonly configMapRef: { readonly name: string } }[];
  readonly ports?: readonly { readonly name: string; readonly containerPort: number }[];
  readonly resources: {
    readonly requests: Readonly<Record<string, string>>;
    readonly limits: Readonly<Record<string, string>>;
  };
  readonly startupProbe?: Probe;
  readonly readinessProbe?: Probe;
  readonly livenessProbe?: Probe;
  readonly lifecycle?: { readonly preStop: { readonly sleep: { readonly seconds: number } } };
  readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string }[];
}

/** An environment variable, given or from a secret. */
export interface Variable {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: { readonly secretKeyRef?: { readonly name: string; readonly key: string } };
}

/** A question of the kubelet. */
export interface Probe {
  readonly grpc?: { readonly port: number; readonly service?: string };
  readonly httpGet?: { readonly port: number; readonly path: string };
}

/** What a pod is made of. */
export interface PodSpec {
  readonly serviceAccountName?: string;
  readonly automountServiceAccountToken: boolean;
  readonly enableServiceLinks: boolean;
  readonly hostNetwork?: boolean;
  readonly hostPID?: boolean;
  readonly hostIPC?: boolean;
  readonly imagePullSecrets?: readonly { readonly name: string }[];
  readonly nodeSelector?: Readonly<Record<string, string>>;
  readonly tolerations?: readonly object[];
  readonly affinity?: object;
  readonly runtimeClassName?: string;
  readonly hostAliases?: readonly object[];
  readonly dnsPolicy?: string;
  readonly dnsConfig?: object;
  readonly priorityClassName?: string;
  readonly terminationGracePeriodSeconds?: number;
  readonly securityContext: {
    readonly runAsNonRoot: boolean;
    readonly runAsUser: number;
    readonly runAsGroup?: number;
    readonly fsGroup?: number;
    readonly seccompProfile: { readonly type: string };
  };
  readonly topologySpreadConstraints?: readonly { readonly topologyKey: string }[];
  readonly containers: readonly Container[];
  readonly initContainers?: readonly Container[];
  readonly volumes?: readonly {
    readonly name: string;
    readonly hostPath?: object;
    readonly secret?: { readonly secretName: string };
  }[];
}

/** A pod that something makes, or that is made as it is. */
export interface Pod {
  /** Kind and name of what makes it. */
  readonly from: string;
  readonly kind: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly spec: PodSpec;
}

interface Template {
  readonly metadata: Pick<Resource["metadata"], "labels" | "annotations">;
  readonly spec: PodSpec;
}

interface CronJob {
  readonly jobTemplate?: { readonly spec: { readonly template: Template } };
}

/** Every pod that the resources lead to. */
export function podsOf(resources: readonly Resource[]): Pod[] {
  return resources.flatMap((resource) => {
    const { kind, metadata, spec } = resource;
    const from = `${kind} ${metadata.name}`;
    if (kind === "Pod") return [podOf(from, kind, { metadata, spec: spec as PodSpec })];
    const { template = (spec as CronJob | undefined)?.jobTemplate?.spec.template } = (spec ?? {}) as {
      template?: Template;
    };
    return template ? [podOf(from, kind, template)] : [];
  });
}

function podOf(from: string, kind: string, { metadata, spec }: Template): Pod {
  return { from, kind, labels: metadata.labels, annotations: metadata.annotations ?? {}, spec };
}
