import { type Service, serviceFacts } from "../../../services/services.ts";
import { type Mesh, require, type Stage } from "./mesh.ts";
import { callerLabel, headlessAddress, namespace, releaseName, scrapersNamespace } from "./release.ts";
import { outsideAddress } from "./surroundings.ts";
import { Visitor, type VisitorPlan } from "./visitor.ts";

/** How long a connection that nobody answers is waited for, in milliseconds. */
const silenceMs = 2_000;

interface Attempt {
  /** The service whose pod tries. */
  readonly from: string;
  /** `host:port` of what it tries to reach. */
  readonly to: string;
  readonly open: boolean;
}

/** One attempt of each kind: the edges that exist are open, their neighbours are not. */
const attempts: readonly Attempt[] = [
  { from: "orders", to: headlessAddress("worker"), open: true },
  { from: "worker", to: headlessAddress("payments"), open: true },
  { from: "shipping", to: headlessAddress("orders"), open: true },
  { from: "payments", to: outsideAddress("postgres"), open: true },
  { from: "worker", to: outsideAddress("temporal"), open: true },
  { from: "orders", to: headlessAddress("payments"), open: false },
  { from: "payments", to: headlessAddress("orders"), open: false },
  // The port of another face of a service that it may call.
  { from: "worker", to: `${releaseName}-orders:${serviceFacts.orders.http}`, open: false },
  { from: "orders", to: outsideAddress("temporal"), open: false },
  { from: "worker", to: outsideAddress("postgres"), open: false },
];

const inner = headlessAddress("payments");
const metrics = `${releaseName}-payments.${namespace}:${serviceFacts.payments.http}`;
/** An address of a pod of the mesh, from another namespace. */
const fromFar = (service: Service) => headlessAddress(service).replace(":", `.${namespace}:`);
const strangers = "ordermesh-strangers";

/** Who comes from outside of the mesh, and what each may reach. */
const visits: readonly {
  readonly plan: Omit<VisitorPlan, "image">;
  readonly open: readonly string[];
  readonly closed: readonly string[];
}[] = [
  { plan: { name: "caller", labels: callerLabel }, open: [headlessAddress("orders")], closed: [inner, metrics] },
  { plan: { name: "stranger" }, open: [], closed: [headlessAddress("orders"), inner, metrics] },
  {
    plan: { name: "scraper", namespace: scrapersNamespace },
    open: [metrics],
    closed: [fromFar("payments"), fromFar("orders")],
  },
  // It says of itself what a caller is labelled with; it is not where a caller is let in from.
  { plan: { name: "far", namespace: strangers, labels: callerLabel }, open: [], closed: [fromFar("orders"), metrics] },
];

/** Whether the network lets pass exactly what the services need. */
export const networkStage: Stage = {
  name: "network policies: the edges that exist are open, others are not, and outsiders reach neither the inside nor metrics",
  async run(mesh) {
    const results = await Promise.all(attempts.map((attempt) => reaches(mesh, attempt)));
    const wrong = attempts.filter(({ open }, index) => results[index] !== open);
    const sentences = wrong.map(({ from, to, open }) => `${from} → ${to} is ${open ? "closed" : "open"}`);
    require(wrong.length === 0, sentences.join("; "));
    const open = attempts.filter((attempt) => attempt.open).length;
    return `${open} connections went through, ${attempts.length - open} did not; ${await visit(mesh)}`;
  },
};

async function visit({ cluster: { kubectl }, image }: Mesh): Promise<string> {
  const spaces = [scrapersNamespace, strangers];
  const objects = spaces.map((name) => ({ apiVersion: "v1", kind: "Namespace", metadata: { name } }));
  await kubectl.apply(objects);
  try {
    for (const { plan, open, closed } of visits) {
      await using visitor = await Visitor.start(kubectl, { ...plan, image });
      const reached = await visitor.reaches([...open, ...closed]);
      const wrong = [...open, ...closed].filter((_, index) => reached[index] !== index < open.length);
      const isAsItShould = wrong.length === 0;
      require(isAsItShould, `a pod called ${plan.name} reaches what it may not, or not what it may: ${wrong.join(", ")}`);
      if (plan.namespace !== scrapersNamespace) continue;
      const status = await visitor.get(`http://${metrics}/metrics`);
      require(status === 200, `metrics were answered with ${status}`);
    }
  } finally {
    await kubectl.run(["delete", "namespace", ...spaces, "--wait=false"]);
  }
  return `${visits.length} pods of others reached what is for them alone; metrics were read by the one of monitoring`;
}

async function reaches({ cluster }: Mesh, { from, to }: Attempt): Promise<boolean> {
  const [host, port] = to.split(":");
  const script = `const done = (said) => { console.log(said); process.exit(0) };
    require("node:net").connect(${port}, "${host}").on("connect", () => done("open")).on("error", () => done("closed"));
    setTimeout(done, ${silenceMs}, "closed")`;
  const exec = ["-n", namespace, "exec", `deployment/${releaseName}-${from}`, "--", "node", "-e", script];
  return (await cluster.kubectl.run(exec)).trim() === "open";
}
