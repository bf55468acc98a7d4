import { untilSeen } from "../../observability/jaeger/query.ts";
import type { Mesh, Stage } from "./mesh.ts";
import { namespace } from "./release.ts";

/** The first figures of a new pod take about half a minute. */
const figuresDeadlineMs = 120_000;

interface Autoscaler {
  readonly metadata: { readonly name: string };
  readonly status?: {
    readonly currentMetrics?: readonly {
      readonly resource?: { readonly current?: { readonly averageUtilization?: number } };
    }[];
  };
}

/** Whether autoscalers can do their work, where the cluster serves resource metrics. */
export const autoscalingStage: Stage = {
  name: "autoscalers see the processor time that they scale by",
  async run({ cluster }: Mesh) {
    const { code } = await cluster.kubectl.try(["get", "--raw", "/apis/metrics.k8s.io/v1beta1/nodes"]);
    if (code !== 0) return "left out: this cluster serves no resource metrics";
    const ask = async () => {
      const { items } = await cluster.kubectl.get<{ items: Autoscaler[] }>(["-n", namespace, "hpa"]);
      return items.map(({ metadata, status }) => ({
        name: metadata.name,
        percent: status?.currentMetrics?.[0]?.resource?.current?.averageUtilization,
      }));
    };
    const seen = await untilSeen(
      ask,
      (all) => all.length > 0 && all.every(({ percent }) => percent !== undefined),
      figuresDeadlineMs,
    );
    return seen.map(({ name, percent }) => `${name} ${percent} %`).join(", ");
  },
};
