import { serviceFacts } from "../../../services/services.ts";
import { type Mesh, require, type Stage } from "./mesh.ts";
import { headlessAddress, namespace, releaseName } from "./release.ts";
import { outsideAddress } from "./surroundings.ts";

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

/** Whether the network lets pass exactly what the services need. */
export const networkStage: Stage = {
  name: "network policies: the edges that exist are open, others are not",
  async run(mesh) {
    const results = await Promise.all(attempts.map((attempt) => reaches(mesh, attempt)));
    const wrong = attempts.filter(({ open }, index) => results[index] !== open);
    const sentences = wrong.map(({ from, to, open }) => `${from} → ${to} is ${open ? "closed" : "open"}`);
    require(wrong.length === 0, sentences.join("; "));
    const open = attempts.filter((attempt) => attempt.open).length;
    return `${open} connections went through, ${attempts.length - open} did not`;
  },
};

async function reaches({ cluster }: Mesh, { from, to }: Attempt): Promise<boolean> {
  const [host, port] = to.split(":");
  const script = `const done = (said) => { console.log(said); process.exit(0) };
    require("node:net").connect(${port}, "${host}").on("connect", () => done("open")).on("error", () => done("closed"));
    setTimeout(done, ${silenceMs}, "closed")`;
  const exec = ["-n", namespace, "exec", `deployment/${releaseName}-${from}`, "--", "node", "-e", script];
  return (await cluster.kubectl.run(exec)).trim() === "open";
}
