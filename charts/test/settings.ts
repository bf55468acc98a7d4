import assert from "node:assert/strict";
import type { MeshValues, PodSettings, ServiceValues } from "./generated-values.ts";
import type { Pod, PodSpec } from "./pods.ts";

type Name = keyof PodSettings;

/** What a list's entries are told apart by; those of the rest are all kept. */
const keys: { readonly [name in Name]?: string } = {
  extraEnv: "name",
  extraVolumes: "name",
  extraVolumeMounts: "mountPath",
  initContainers: "name",
  sidecars: "name",
};

/** What a job of the mesh takes from orders when it says nothing itself. */
const alike = [
  "user",
  "nodeSelector",
  "tolerations",
  "affinity",
  "priorityClassName",
  "runtimeClassName",
  "hostAliases",
  "dnsPolicy",
  "dnsConfig",
] as const satisfies readonly Name[];

const isEmpty = (value: unknown) => !value || (typeof value === "object" && Object.keys(value as object).length === 0);

/** What holds for a pod when this is said for all, and that for its service. */
function joined(common: unknown, own: unknown, key: string | undefined): unknown {
  if (Array.isArray(common ?? own)) {
    const said = (own ?? []) as Readonly<Record<string, unknown>>[];
    const kept = ((common ?? []) as Readonly<Record<string, unknown>>[]).filter(
      (one) => key === undefined || !said.some((other) => other[key] === one[key]),
    );
    return [...kept, ...said];
  }
  if (typeof (common ?? own) === "object") return { ...(common as object), ...(own as object) };
  return isEmpty(own) ? common : own;
}

/** What holds for the pods of a service or of a job, by the values' names; what is not said is not there. */
function settingsOf(values: MeshValues, name: keyof Omit<MeshValues, "global">): PodSettings {
  const own = values[name];
  const isJob = name === "books" || name === "test";
  const { pods = {} } = values.global;
  const names = new Set([...Object.keys(pods), ...Object.keys(own), ...alike]) as Set<Name>;
  const entries = [...names].map((setting) => {
    const said = isJob && isEmpty(own[setting]) && isAlike(setting) ? values.orders[setting] : own[setting];
    return [setting, joined(pods[setting], said, keys[setting])] as const;
  });
  return Object.fromEntries(entries.filter(([, value]) => !isEmpty(value))) as PodSettings;
}

function isAlike(name: Name): name is (typeof alike)[number] {
  return alike.some((one) => one === name);
}

/** What of a pod is as its values say, in the shape of {@link PodSettings}. */
function shown({ spec, labels, annotations }: Pod, { podLabels = {}, podAnnotations = {} }: PodSettings): object {
  const pick = (all: Readonly<Record<string, string>>, wanted: object) =>
    Object.fromEntries(Object.keys(wanted).map((name) => [name, all[name]]));
  const direct: (keyof PodSpec & Name)[] = [
    "nodeSelector",
    "tolerations",
    "affinity",
    "priorityClassName",
    "runtimeClassName",
    "hostAliases",
    "dnsPolicy",
    "dnsConfig",
    "initContainers",
  ];
  return {
    ...Object.fromEntries(direct.map((name) => [name, spec[name]])),
    podLabels: pick(labels, podLabels),
    podAnnotations: pick(annotations, podAnnotations),
  };
}

/** The last entries of a list, as many as another one has. */
const endOf = (list: readonly unknown[] = [], wanted: readonly unknown[] = []) =>
  list.slice(list.length - wanted.length);

function requireSettings(pod: Pod, settings: PodSettings): void {
  const { from, kind, spec } = pod;
  const [container, ...others] = spec.containers;
  const isServing = kind === "Deployment";
  for (const [name, value] of Object.entries(shown(pod, settings))) {
    const wanted = settings[name as Name];
    assert.deepEqual(isEmpty(value) ? undefined : value, wanted, `${from}: ${name}`);
  }
  const { extraEnv = [], extraEnvFrom = [], extraVolumes = [], extraVolumeMounts = [], sidecars = [] } = settings;
  assert.deepEqual(endOf(container?.env, extraEnv), extraEnv, from);
  assert.deepEqual(endOf(container?.envFrom, extraEnvFrom), extraEnvFrom, from);
  assert.deepEqual(endOf(spec.volumes, extraVolumes), extraVolumes, from);
  assert.deepEqual(endOf(container?.volumeMounts, extraVolumeMounts), extraVolumeMounts, from);
  // A job would not end before they do.
  assert.deepEqual(others, isServing ? sidecars : [], from);
  if (isServing) requireSpread(pod, settings);
}

function requireSpread({ from, spec }: Pod, { topologySpreadConstraints = [] }: PodSettings): void {
  const found = endOf(spec.topologySpreadConstraints, topologySpreadConstraints) as { labelSelector: object }[];
  const wanted = topologySpreadConstraints.map((one, index) => ({
    ...one,
    labelSelector: found[index]?.labelSelector,
  }));
  assert.deepEqual(found, wanted, from);
}

function requireUser({ from, spec }: Pod, values: MeshValues, name: keyof Omit<MeshValues, "global">): void {
  const fallback = name === "books" || name === "test" ? values.orders.user : undefined;
  const user = values[name].user || fallback || (values.global.pods?.user ?? 1000);
  const { runAsUser, runAsGroup, fsGroup } = spec.securityContext;
  const wanted = user === 0 ? undefined : user;
  assert.deepEqual([runAsUser, runAsGroup, fsGroup], [wanted, wanted, wanted], from);
}

const version = "0.1.0";

/** The image of a service in a mesh, if no other version is asked for. */
function imageOf({ global: { imageRegistry = "" } }: MeshValues, ...images: readonly ServiceValues["image"][]): string {
  const repository = images.map((image) => image?.repository).find(Boolean) ?? "localhost/ordermesh";
  const tag = images.map((image) => image?.tag).find(Boolean) ?? version;
  const [host = "", ...path] = repository.split("/");
  const isHost = path.length > 0 && (host === "localhost" || /[.:]/.test(host));
  const rest = isHost ? path.join("/") : repository;
  return imageRegistry ? `${imageRegistry.replace(/\/$/, "")}/${rest}:${tag}` : `${repository}:${tag}`;
}

/** Which images the pods of a service or job may run; the track that is new has its own. */
function requireImage({ from, labels, spec }: Pod, values: MeshValues, name: keyof Omit<MeshValues, "global">): void {
  const own = values[name].image;
  const isJob = name === "books" || name === "test";
  const wanted = isJob ? imageOf(values, own, values.orders.image) : imageOf(values, own);
  const others = ["new", "old"].map((tag) => imageOf(values, { tag }, own));
  const isOther = labels["app.kubernetes.io/component"] !== "promotion" && !isJob;
  const taken = isOther ? [wanted, ...others] : [wanted];
  assert.ok(taken.includes(spec.containers[0]?.image ?? ""), `${from} runs ${spec.containers[0]?.image}`);
}

function requirePullSecrets({ from, spec }: Pod, values: MeshValues, name: keyof Omit<MeshValues, "global">): void {
  const isJob = name === "books" || name === "test";
  const own = values[isJob ? "orders" : name].imagePullSecrets ?? [];
  const names = [...(values.global.imagePullSecrets ?? []), ...own].map((one) =>
    typeof one === "string" ? one : one.name,
  );
  assert.deepEqual(spec.imagePullSecrets?.map((one) => one.name) ?? [], [...new Set(names)], from);
}

/** Every pod of a mesh, its jobs among them, is as its values say. */
export function requireFollowing(pods: readonly Pod[], values: MeshValues): void {
  for (const pod of pods) {
    const name = pod.labels["app.kubernetes.io/name"] as keyof Omit<MeshValues, "global">;
    const { user: _, ...settings } = settingsOf(values, name);
    requireSettings(pod, settings);
    requireUser(pod, values, name);
    requireImage(pod, values, name);
    requirePullSecrets(pod, values, name);
  }
}
