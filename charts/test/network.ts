import { ofKind, type Resource, type Selector } from "./charts.ts";
import { type Pod, podsOf } from "./pods.ts";

/** Somebody on the other end of a connection. */
export interface Peer {
  readonly podSelector?: Selector;
  readonly namespaceSelector?: Selector;
  /** Addresses outside of the cluster. */
  readonly ipBlock?: { readonly cidr: string };
}

interface Rule {
  readonly from?: readonly Peer[];
  readonly to?: readonly Peer[];
  readonly ports?: readonly { readonly protocol: string; readonly port: number }[];
}

interface Policy {
  readonly podSelector: Selector;
  readonly policyTypes: readonly string[];
  readonly ingress?: readonly Rule[];
  readonly egress?: readonly Rule[];
}

/** Whether a selector means a pod with these labels. */
export function selects({ matchLabels = {} }: Selector, labels: Readonly<Record<string, string>>): boolean {
  return Object.entries(matchLabels).every(([name, value]) => labels[name] === value);
}

/** The policies that hold for a pod, in the release's own namespace. */
export function policiesFor(pod: Pod, resources: readonly Resource[]): Policy[] {
  const policies = ofKind(resources, "NetworkPolicy").map(({ spec }) => spec as Policy);
  return policies.filter(({ podSelector }) => selects(podSelector, pod.labels));
}

function rulesFor(pod: Pod, resources: readonly Resource[], way: "ingress" | "egress"): readonly Rule[] | "anything" {
  const type = way === "ingress" ? "Ingress" : "Egress";
  const policies = policiesFor(pod, resources).filter(({ policyTypes }) => policyTypes.includes(type));
  return policies.length === 0 ? "anything" : policies.flatMap((policy) => policy[way] ?? []);
}

/** Peers of another namespace, or outside of the cluster, are none of the release's pods. */
function permits(rules: readonly Rule[] | "anything", other: Pod, port: number): boolean {
  if (rules === "anything") return true;
  return rules.some(({ from, to, ports }) => {
    const peers = from ?? to;
    const isOwn = (peer: Peer) => !peer.namespaceSelector && !peer.ipBlock;
    const isPeer = peers?.some((peer) => isOwn(peer) && selects(peer.podSelector ?? {}, other.labels)) ?? true;
    return isPeer && (ports?.some((allowed) => allowed.port === port) ?? true);
  });
}

/** A connection that a pod opens to another one. */
export interface Connection {
  readonly from: Pod;
  readonly to: Pod;
  readonly port: number;
}

/** Whether the policies of both ends allow a connection. */
export function mayReach({ from, to, port }: Connection, resources: readonly Resource[]): boolean {
  return (
    permits(rulesFor(from, resources, "egress"), to, port) && permits(rulesFor(to, resources, "ingress"), from, port)
  );
}

function nameOf({ labels }: Pod): string {
  const { "app.kubernetes.io/name": name = "", "app.kubernetes.io/component": component = "" } = labels;
  return component === "migration" ? `${name}-migration` : name;
}

/** Every connection that pods of the release may open to one another: `from>to:port name`. */
export function edgesIn(resources: readonly Resource[]): string[] {
  const pods = podsOf(resources);
  const edges = new Set<string>();
  for (const from of pods) {
    for (const to of pods) {
      for (const { name, containerPort } of to.spec.containers.flatMap(({ ports }) => ports ?? [])) {
        if (mayReach({ from, to, port: containerPort }, resources)) edges.add(`${nameOf(from)}>${nameOf(to)}:${name}`);
      }
    }
  }
  return [...edges].sort();
}

/** The ports by which a pod may leave the release, with who is behind them: `port` when it may be anybody. */
export function waysOut(pod: Pod, resources: readonly Resource[]): string[] {
  const rules = rulesFor(pod, resources, "egress");
  if (rules === "anything") return ["anything"];
  const ways = rules.flatMap(({ to, ports = [] }) => {
    const foreign = to?.filter(({ namespaceSelector, ipBlock }) => namespaceSelector ?? ipBlock) ?? [];
    const isOwn = to !== undefined && foreign.length === 0;
    const place = foreign.map(
      ({ namespaceSelector, ipBlock }) => ipBlock?.cidr ?? Object.values(namespaceSelector?.matchLabels ?? {}).join(),
    );
    return isOwn ? [] : ports.map(({ port }) => [...place, port].join(":"));
  });
  return [...new Set(ways)].sort();
}
