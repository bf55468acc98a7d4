import type { Kubectl } from "../kubectl.ts";
import { namespace as meshNamespace } from "./release.ts";
import { restrictedPod } from "./restricted-pod.ts";

/** How long a connection that nobody answers, and an answer, are waited for in the pod; milliseconds. */
const silenceMs = 2_000;
const answerMs = 10_000;
/** Where the pod finds the tokens of its account. */
const tokenFolder = "/var/run/secrets/ordermesh-test";

/** Who visits. */
export interface VisitorPlan {
  readonly name: string;
  readonly image: string;
  /** That of the mesh when left out. */
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** Its service account, and the audiences for which the cluster gives it tokens. */
  readonly account?: string;
  readonly audiences?: readonly string[];
}

/** What a visitor shows: a text; the name of an audience, whose token it has; or nothing. */
export type Shown = { readonly text: string } | { readonly audience: string } | undefined;

/** How a call ended: 200, or the reason of the refusal. */
export interface CallAnswer {
  readonly status: number;
  /** Of `google.rpc.ErrorInfo`; empty when there is none. */
  readonly reason: string;
  /** Of its metadata. */
  readonly cause: string;
  /** The header that a client of OAuth reads. */
  readonly challenge: string;
  readonly body: unknown;
}

/** A program of somebody else in the cluster: a pod with Node that does what it is told. */
export class Visitor implements AsyncDisposable {
  readonly #kubectl: Kubectl;
  readonly #name: string;
  readonly #namespace: string;

  private constructor(kubectl: Kubectl, { name, namespace = meshNamespace }: VisitorPlan) {
    this.#kubectl = kubectl;
    this.#name = name;
    this.#namespace = namespace;
  }

  /** Starts the pod and waits until it runs. */
  static async start(kubectl: Kubectl, plan: VisitorPlan): Promise<Visitor> {
    const visitor = new Visitor(kubectl, plan);
    await visitor[Symbol.asyncDispose]();
    await kubectl.apply([manifest(plan)]);
    const running = ["wait", "--for=condition=Ready", `pod/${plan.name}`, "--timeout=120s"];
    await kubectl.run(["-n", visitor.#namespace, ...running], { timeoutMs: 130_000 });
    return visitor;
  }

  /** Makes one call in JSON at each of these addresses, `host:port`. */
  async call(addresses: readonly string[], method: string, request: object, shown: Shown): Promise<CallAnswer[]> {
    const script = `const [addresses, method, request, shown] = JSON.parse(process.argv[1]);
      const file = (name) => require("node:fs").readFileSync("${tokenFolder}/" + name, "utf8");
      const credential = shown && (shown.text ?? file(shown.audience));
      const headers = { "content-type": "application/json", ...(credential && { authorization: "Bearer " + credential }) };
      const one = async (address) => {
        const options = { method: "POST", headers, body: JSON.stringify(request), signal: AbortSignal.timeout(${answerMs}) };
        const answer = await fetch("http://" + address + "/" + method, options);
        const body = await answer.json();
        const { details = [] } = body;
        const { reason = "", metadata = {} } = details.find(({ type }) => type === "google.rpc.ErrorInfo")?.debug ?? {};
        const challenge = answer.headers.get("www-authenticate") ?? "";
        return { status: answer.status, reason, cause: metadata.cause ?? "", challenge, body };
      };
      Promise.all(addresses.map(one)).then((all) => console.log(JSON.stringify(all)));`;
    return JSON.parse(await this.#run(script, [JSON.stringify([addresses, method, request, shown ?? null])]));
  }

  /** Whether a connection to each `host:port` can be made. */
  async reaches(addresses: readonly string[]): Promise<boolean[]> {
    const script = `const one = (address) => new Promise((done) => {
        const [host, port] = address.split(":");
        const socket = require("node:net").connect(port, host);
        const end = (open) => (socket.destroy(), done(open));
        socket.on("connect", () => end(true)).on("error", () => end(false));
        setTimeout(end, ${silenceMs}, false);
      });
      Promise.all(process.argv.slice(1).map(one)).then((all) => console.log(JSON.stringify(all)));`;
    return JSON.parse(await this.#run(script, addresses));
  }

  /** The status with which a page is answered. */
  async get(url: string): Promise<number> {
    const script = `const options = { signal: AbortSignal.timeout(${answerMs}) };
      fetch(process.argv[1], options).then((answer) => answer.text().then(() => console.log(answer.status)));`;
    return Number(await this.#run(script, [url]));
  }

  #run(script: string, args: readonly string[]): Promise<string> {
    return this.#kubectl.run(["-n", this.#namespace, "exec", this.#name, "--", "node", "-e", script, ...args]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // It has nothing to finish.
    const pod = ["pod", this.#name, "--ignore-not-found", "--grace-period=0", "--force"];
    await this.#kubectl.run(["-n", this.#namespace, "delete", ...pod]);
  }
}

function manifest({
  name,
  image,
  namespace = meshNamespace,
  labels = {},
  account,
  audiences = [],
}: VisitorPlan): object {
  const sources = audiences.map((audience) => ({
    // The shortest time that Kubernetes gives one for.
    serviceAccountToken: { audience, path: audience, expirationSeconds: 600 },
  }));
  const tokens = { name: "tokens", mountPath: tokenFolder, readOnly: true };
  return restrictedPod({
    name,
    namespace,
    labels,
    ...(account !== undefined && { account }),
    ...(sources.length > 0 && { volumes: [{ name: "tokens", projected: { sources } }] }),
    container: {
      name: "visitor",
      image,
      command: ["node", "-e", "setInterval(() => undefined, 60_000)"],
      ...(sources.length > 0 && { volumeMounts: [tokens] }),
    },
  });
}
