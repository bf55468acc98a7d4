import { hash, randomBytes } from "node:crypto";
import { mkdtempSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { root } from "../../../deploy/command/checkout.ts";
import { newServiceKeys } from "../../../deploy/infrastructure/service-keys.ts";
import { databaseServices, type Service, serviceFacts, services } from "../../../services/services.ts";
import { commandEnvironment } from "../config.ts";
import { ClusterError } from "../errors.ts";
import { type Answer, execute, type Kubectl } from "../kubectl.ts";
import { outsideAddress, type Passwords } from "./surroundings.ts";

/** The release that the test installs, and its namespace. */
export const releaseName = "mesh";
export const namespace = "ordermesh";
/** `host:port` of all pods of a service, for a pod. */
export function headlessAddress(service: Service): string {
  return `${releaseName}-${service}-headless:${serviceFacts[service].grpc}`;
}

/** From where metrics may be read. */
export const scrapersNamespace = "ordermesh-scrapers";

/** What a pod is labelled with that may call orders and inventory. */
export const callerLabel = { "ordermesh.io/caller": "cluster-test" };

/** An API key with every role, whose hash identity is told: whoever calls the mesh in this test shows it. */
export const callerKey = `ordermesh_key_${randomBytes(32).toString("base64url")}`;
const callerRoles = "agent,warehouse,finance,operator,auditor,admin";

const chart = join(root, "charts/ordermesh");
const rolloutScript = join(root, "dev/commands/rollout.ts");
/** How long Helm waits for pods: Node on a busy machine of two cores starts ten of them in minutes, not seconds. */
const helmTimeout = "10m";
const helmDeadlineMs = 11 * 60_000;

/** Values as Helm takes them. */
export type Values = Readonly<Record<string, unknown>>;

/** The release, as its operator handles it: by helm. */
export class Release implements AsyncDisposable {
  readonly #kubectl: Kubectl;
  readonly #helm: string;
  readonly #folder = mkdtempSync(join(tmpdir(), "ordermesh-release-"));
  #files = 0;

  constructor(kubectl: Kubectl, helm: string) {
    this.#kubectl = kubectl;
    this.#helm = helm;
  }

  /** Installs, or upgrades, and waits until everything is ready. @param values the later ones win */
  async upgrade(values: readonly Values[], flags: readonly string[] = []): Promise<Answer> {
    const files = values.map((part) => this.#write(part));
    const wait = ["--wait", "--timeout", helmTimeout];
    return this.#run(["upgrade", "--install", releaseName, chart, ...wait, ...files, ...flags]);
  }

  /** Upgrades as `npm run rollout` does: with a test, and back to what ran before when either fails. */
  async rollOut(values: readonly Values[]): Promise<Answer> {
    const files = values.map((part) => this.#write(part));
    const context = (await this.#kubectl.run(["config", "current-context"])).trim();
    const place = ["--context", context, "--namespace", namespace, "--release", releaseName, "--timeout", helmTimeout];
    const args = [rolloutScript, ...place, "--", ...files];
    return execute({ command: process.execPath, args, env: this.#environment, timeoutMs: 4 * helmDeadlineMs });
  }

  /** Runs the release's tests. */
  test(): Promise<Answer> {
    // Its pod says itself that its log is to be shown, and is gone afterwards; --logs would look for it in vain.
    return this.#run(["test", releaseName, "--timeout", "4m"]);
  }

  uninstall(): Promise<Answer> {
    return this.#run(["uninstall", releaseName, "--wait", "--timeout", "5m"]);
  }

  /** The revision that is deployed, and how it stands. */
  async status(): Promise<{ version: number; info: { status: string } }> {
    const { stdout } = mustSucceed("helm status", await this.#run(["status", releaseName, "-o", "json"]));
    return JSON.parse(stdout);
  }

  #write(values: Values): string {
    this.#files += 1;
    const file = join(this.#folder, `values-${this.#files}.json`);
    writeFileSync(file, JSON.stringify(values), { mode: 0o600 });
    return `--values=${file}`;
  }

  #run(args: readonly string[]): Promise<Answer> {
    const all = [...args, "-n", namespace];
    return execute({ command: this.#helm, args: all, env: this.#environment, timeoutMs: helmDeadlineMs });
  }

  get #environment(): NodeJS.ProcessEnv {
    return commandEnvironment({ KUBECONFIG: this.#kubectl.kubeconfig });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** @throws ClusterError with what the command said when it failed */
export function mustSucceed(what: string, answer: Answer): Answer {
  if (answer.code === 0) return answer;
  throw new ClusterError(`${what} failed: ${(answer.stderr || answer.stdout).trim().slice(-1_500)}`);
}

/** An image as the charts name it. */
export function imageValues(image: string): Values {
  const [, repository, tag] = /^(.+):([^:/]+)$/.exec(image) ?? [];
  if (!repository) throw new ClusterError(`An image is <repository>:<tag>, not "${image}".`);
  return { global: { image: { repository, tag } } };
}

/** Two pods of everything, and the neighbours at this address of the host. */
export function meshValues(hostAddress: string): Values {
  const peers = [{ ipBlock: { cidr: `${hostAddress}/32` } }];
  const [host, port] = outsideAddress("postgres").split(":");
  const service = {
    replicas: 2,
    // As many as there are: the machine that this runs on has no processor for more.
    autoscaling: { enabled: true, minReplicas: 2, maxReplicas: 2 },
    // Starts are slow where ten processes start at once on two cores.
    probes: { startup: { periodSeconds: 2, failureThreshold: 120 } },
  };
  const monitoring = [{ namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": scrapersNamespace } } }];
  const callers = [{ podSelector: { matchLabels: callerLabel } }];
  const called: readonly Service[] = ["orders", "inventory"];
  const each = services.map((name) => [name, called.includes(name) ? { ...service, callers } : service] as const);
  const firstKey = { BOOTSTRAP_KEY_SHA256: hash("sha256", callerKey), BOOTSTRAP_KEY_ROLES: callerRoles };
  return {
    global: {
      database: { host, port: Number(port), parameters: "" },
      temporal: { address: outsideAddress("temporal") },
      // A caller may ask for more: what it has decided holds.
      tracing: { exporters: "jaeger", ratio: 0.01, jaeger: `http://${outsideAddress("jaeger")}/api/traces` },
      network: { database: peers, temporal: peers, tracing: peers, monitoring },
    },
    // Its stage runs it by hand.
    books: { suspend: true },
    ...Object.fromEntries(each),
    // Two versions of it stand beside each other, and the job that promotes one: on two cores all of them find room.
    worker: { ...service, resources: { requests: { cpu: "100m" } } },
    identity: { ...service, config: firstKey },
    // There is no mail server, and nobody to write to.
    notifications: { enabled: false },
    // There is no broker, and so nothing to tell.
    webhooks: { enabled: false },
    simulators: { ...service, enabled: true },
  };
}

/** What an operator makes before an installation: the page token secret of each service, the services' keys, and the roles of its database. */
export function secretObjects(passwords: Passwords): object[] {
  const secret = (name: string, stringData: Readonly<Record<string, string>>) => ({
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: `${releaseName}-${name}`, namespace },
    stringData,
  });
  const tokens = services.map((name) => secret(name, { "page-token-secret": randomBytes(32).toString("base64url") }));
  const roles = databaseServices.flatMap((name) => [
    secret(`${name}-database`, { username: name, password: passwords[name].runtime }),
    secret(`${name}-database-owner`, { username: `${name}_owner`, password: passwords[name].owner }),
    secret(`${name}-database-reader`, { username: `${name}_reader`, password: passwords[name].reader }),
  ]);
  const wrong = secret("wrong-owner", { username: "orders_owner", password: "not-the-password" });
  return [...tokens, secret("service-keys", newServiceKeys()), ...roles, wrong];
}
