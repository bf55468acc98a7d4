import assert from "node:assert/strict";
import { ofKind, type Resource, type Selector } from "./charts.ts";
import { mayReach, selects } from "./network.ts";
import { type Container, type Pod, podsOf } from "./pods.ts";

/** What Kubernetes takes as the name of a Service, and what every other name may be as well. */
const label = /^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$/;
const labelValue = /^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$/;
/** A CronJob's Jobs carry its name and eleven more characters. */
const longestCronJob = 52;

const labelsOf = ({ metadata }: Resource) => metadata.labels;

/** Every name fits wherever it is used, and none is there twice. */
export function requireNames(resources: readonly Resource[]): void {
  const seen = new Set<string>();
  for (const resource of resources) {
    const { kind, metadata } = resource;
    assert.match(metadata.name, label, kind);
    if (kind === "CronJob") assert.ok(metadata.name.length <= longestCronJob, metadata.name);
    assert.ok(!seen.has(`${kind} ${metadata.name}`), `two of ${kind} ${metadata.name}`);
    seen.add(`${kind} ${metadata.name}`);
    for (const value of Object.values(labelsOf(resource))) assert.match(value, labelValue, `${kind} ${metadata.name}`);
  }
  for (const { from, labels, spec } of podsOf(resources)) {
    for (const value of Object.values(labels)) assert.match(value, labelValue, from);
    for (const name of secretsOf(spec)) assert.match(name, label, from);
  }
}

function secretsOf({ containers, volumes = [] }: Pod["spec"]): string[] {
  const keys = containers.flatMap(({ env = [] }) => env.map(({ valueFrom }) => valueFrom?.secretKeyRef?.name));
  const files = volumes.map(({ secret }) => secret?.secretName);
  return [...keys, ...files].filter((name) => name !== undefined);
}

interface Selecting {
  readonly selector?: Selector & Readonly<Record<string, string>>;
  readonly scaleTargetRef?: { readonly kind: string; readonly name: string };
}

/** What a thing asks for by name is there, and what it selects is its own mesh's. */
export function requireReferences(resources: readonly Resource[]): void {
  const there = new Set(resources.map(({ kind, metadata }) => `${kind} ${metadata.name}`));
  const pods = podsOf(resources);
  for (const resource of resources) {
    const { scaleTargetRef, selector } = (resource.spec ?? {}) as Selecting;
    const what = `${resource.kind} ${resource.metadata.name}`;
    if (scaleTargetRef) assert.ok(there.has(`Deployment ${scaleTargetRef.name}`), what);
    if (selector) requireOwnPods(what, resource, selector, pods);
  }
  for (const { from, spec } of pods) {
    const [container] = spec.containers;
    const config = container?.envFrom?.[0]?.configMapRef.name;
    if (config?.startsWith("shop-")) assert.ok(there.has(`ConfigMap ${config}`), from);
    const account = spec.serviceAccountName;
    if (account && account !== "shared" && account !== "default")
      assert.ok(there.has(`ServiceAccount ${account}`), from);
  }
}

function requireOwnPods(
  what: string,
  { metadata }: Resource,
  selector: NonNullable<Selecting["selector"]>,
  pods: readonly Pod[],
): void {
  const wanted = "matchLabels" in selector ? selector : { matchLabels: selector };
  const selected = pods.filter(({ labels }) => selects(wanted as Selector, labels));
  assert.ok(selected.length > 0, `${what} selects nothing`);
  for (const name of ["app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/component"]) {
    for (const pod of selected) assert.equal(pod.labels[name], metadata.labels[name], `${what} selects ${pod.from}`);
  }
}

/** An address that a pod calls. */
export interface Call {
  readonly from: Pod;
  /** What it is called by, a variable or an option. */
  readonly by: string;
  readonly host: string;
  readonly port: number;
}

/** Every address of the mesh that a pod is told, in its configuration or as an option. */
export function callsIn(resources: readonly Resource[]): Call[] {
  const configurations = new Map(ofKind(resources, "ConfigMap").map(({ metadata, data }) => [metadata.name, data]));
  // The job that promotes a version shares the worker's configuration, and calls Temporal alone.
  const calling = podsOf(resources).filter(({ labels }) => labels["app.kubernetes.io/component"] !== "promotion");
  return calling.flatMap((from) => {
    const [container] = from.spec.containers;
    const config = configurations.get(container?.envFrom?.[0]?.configMapRef.name ?? "") ?? {};
    const args = container?.args ?? [];
    const options = args.map((value, index): [string, string] => [args[index - 1] ?? "", value]);
    return [...Object.entries(config), ...options].flatMap(([by, address]) => {
      const [, host, port] = /^dns:\/\/\/(.+):(\d+)$/.exec(address) ?? [];
      return host === undefined ? [] : [{ from, by, host, port: Number(port) }];
    });
  });
}

/** Every address that is called is that of pods which listen there and let the caller in, and of the one that is meant. */
export function requireCalls(resources: readonly Resource[]): number {
  const calls = callsIn(resources);
  const pods = podsOf(resources);
  for (const call of calls) {
    const what = `${call.from.from} calls ${call.by} at ${call.host}:${call.port}`;
    const service = ofKind(resources, "Service").find(({ metadata }) => metadata.name === call.host);
    assert.ok(service, `${what}, which is not there`);
    const { selector } = service.spec as { selector: Readonly<Record<string, string>> };
    const called = pods.filter(({ labels }) => selects({ matchLabels: selector }, labels));
    const said = call.by.toLowerCase().replace("_address", "").replace(/^--/, "");
    const meant = said.endsWith("_connector") ? "simulators" : said;
    for (const pod of called) {
      assert.equal(pod.labels["app.kubernetes.io/name"], meant, what);
      assert.equal(pod.labels["app.kubernetes.io/instance"], call.from.labels["app.kubernetes.io/instance"], what);
      assert.equal(portOf(pod.spec.containers[0], "grpc"), call.port, what);
      assert.ok(mayReach({ from: call.from, to: pod, port: call.port }, resources), `${what}, and is not let in`);
    }
    assert.ok(called.length > 0, what);
  }
  return calls.length;
}

function portOf(container: Container | undefined, name: string): number | undefined {
  return container?.ports?.find((port) => port.name === name)?.containerPort;
}

interface Address {
  readonly ports: readonly { readonly name: string; readonly port: number; readonly targetPort: string }[];
  readonly selector: Readonly<Record<string, string>>;
}

/** A pod listens where its program is told to, where it is probed, and where its Services lead to. */
export function requirePorts(resources: readonly Resource[]): void {
  const configurations = new Map(ofKind(resources, "ConfigMap").map(({ metadata, data }) => [metadata.name, data]));
  const services = ofKind(resources, "Service").map(({ spec }) => spec as Address);
  for (const { from, kind, labels, spec } of podsOf(resources)) {
    if (kind !== "Deployment") continue;
    const [container] = spec.containers;
    const [grpc, secure, plain] = ["grpc", "https", "http"].map((name) => portOf(container, name));
    const http = secure ?? plain;
    const config = configurations.get(container?.envFrom?.[0]?.configMapRef.name ?? "");
    assert.deepEqual([config?.GRPC_PORT, config?.HTTP_PORT], [String(grpc), String(http)], from);
    assert.equal(config?.ADMIN_PORT, secure === undefined ? undefined : String(plain), from);
    for (const probe of [container?.startupProbe, container?.livenessProbe, container?.readinessProbe]) {
      assert.equal(probe?.grpc?.port ?? probe?.httpGet?.port, probe?.grpc ? grpc : plain, from);
    }
    const leading = services.filter(({ selector }) => selects({ matchLabels: selector }, labels));
    assert.ok(leading.length > 0, `no Service leads to ${from}`);
    for (const { name, port, targetPort } of leading.flatMap(({ ports }) => ports)) {
      assert.deepEqual([port, targetPort], [name === "grpc" ? grpc : http, name], from);
    }
  }
}
