import { type Mesh, require, type Stage } from "./mesh.ts";
import { mustSucceed, namespace, releaseName } from "./release.ts";

/** What every namespace has, and what Kubernetes keeps of what was. */
const ofKubernetes = [/^configmap\/kube-root-ca\.crt$/, /^serviceaccount\/default$/, /^event/, /^lease/];

/** An empty cluster again. */
export const uninstallStage: Stage = {
  name: "an uninstall that leaves nothing",
  async run(mesh) {
    mustSucceed("helm uninstall", await mesh.release.uninstall());
    return requireNothingLeft(mesh);
  },
};

/** Removes the secrets that the test has made. @throws ClusterError that names what else is left of the release */
export async function requireNothingLeft(mesh: Mesh): Promise<string> {
  const { cluster } = mesh;
  // What the test made itself, as an operator makes it, and the keys of what Temporal keeps, which outlive a release.
  const secrets = await names(mesh, "secrets");
  const own = secrets.filter((name) => name.startsWith(`secret/${releaseName}-`));
  if (own.length > 0) await cluster.kubectl.run(["-n", namespace, "delete", ...own]);
  await cluster.kubectl.run(["-n", namespace, "wait", "--for=delete", "pod", "--all", "--timeout=120s"], {
    timeoutMs: 130_000,
  });
  const kinds = await cluster.kubectl.run(["api-resources", "--namespaced", "--verbs=list", "-o", "name"]);
  const listable = kinds.split("\n").filter((kind) => kind !== "" && !kind.endsWith("metrics.k8s.io"));
  const left = (await names(mesh, listable.join(","))).filter(
    (name) => !ofKubernetes.some((pattern) => pattern.test(name)),
  );
  const global = await clusterWide(mesh);
  require(left.length === 0 && global.length === 0, `left behind: ${[...left, ...global].join(", ")}`);
  return `nothing of ${listable.length} kinds is left in the namespace, and nothing outside of it`;
}

async function names({ cluster }: Mesh, kinds: string): Promise<string[]> {
  const list = await cluster.kubectl.run(["-n", namespace, "get", kinds, "-o", "name", "--ignore-not-found"]);
  return list.split("\n").filter((name) => name !== "");
}

async function clusterWide({ cluster }: Mesh): Promise<string[]> {
  const kinds = await cluster.kubectl.run(["api-resources", "--namespaced=false", "--verbs=list", "-o", "name"]);
  const listable = kinds.split("\n").filter((kind) => kind !== "" && !kind.endsWith("metrics.k8s.io"));
  const ours = ["-l", `app.kubernetes.io/instance=${releaseName}`, "-o", "name", "--ignore-not-found"];
  const list = await cluster.kubectl.run(["get", listable.join(","), ...ours]);
  return list.split("\n").filter((name) => name !== "");
}
