import { provisionDatabase } from "#platform/database/provision.ts";
import { type DatabaseService, databaseServices, type Service, services } from "../../services/services.ts";
import { StackError } from "../errors.ts";
import { claim, release } from "../process/leftovers.ts";
import { databaseProbe, healthProbe, httpProbe } from "../process/readiness.ts";
import { Supervisor } from "../process/supervisor.ts";
import { ToolError, tool } from "../tools/tool.ts";
import { addressFor, addressOf, type Blueprint, databaseUrl, type Overrides } from "./blueprint.ts";
import { Clocks } from "./clock.ts";
import { credentialsIn, developerHeaders } from "./credentials.ts";
import {
  type Component,
  type Connector,
  type ConnectorReplica,
  connectorPorts,
  connectorsFor,
  components as everything,
  type Gateway,
  type Member,
  type Observer,
  type Ports,
  portsAt,
  portsOf,
  type Replica,
  replicaPorts,
  replicasOf,
  type TemporalKind,
  temporalServerPortsOf,
  worldPort,
} from "./layout.ts";
import { linksOf } from "./links.ts";
import { Network, networkProgram, networkUrl } from "./network.ts";
import { forgetLines, observerDeadlineMs, observerProgram, observerUrl, prepareObserver } from "./observers.ts";
import { makePlace, type Place, requireSources } from "./place.ts";
import { requireFree } from "./ports.ts";
import { preparePostgres, removeData } from "./postgres.ts";
import { common, migrationsProgram, postgresProgram, serviceProgram, temporalProgram } from "./programs.ts";
import { fakeStripeProgram, stripeProgram } from "./stripe.ts";
import { hasLostDatabase, temporalProbe } from "./temporal.ts";
import { startTemporalServer, temporalFolder, temporalStore } from "./temporal-server.ts";

/** What is told while a stack starts and runs. */
export interface StackListener {
  /** A component is ready after so many milliseconds. */
  ready?(component: string, detail: string, ms: number): void;
  /** Progress and trouble, one sentence. */
  say?(sentence: string): void;
  /** A line that a component wrote. */
  line?(component: string, line: string): void;
}

/** How to run a stack. */
export interface StackOptions extends StackListener {
  /** Where data, logs and secrets are kept; a temporary folder, removed at the end, when left out. */
  readonly dataDirectory?: string;
  /** Where everything listens; see `portsFor`. The default ports when left out. */
  readonly ports?: Ports;
  /** What to start; everything when left out. */
  readonly components?: readonly Component[];
  /** What Temporal runs as; default "dev". A folder keeps the state of each apart. */
  readonly temporal?: TemporalKind;
  /** What watches it, besides; nothing when left out. Jaeger gets the traces, Filebeat brings the logs to Elasticsearch. */
  readonly observers?: readonly Observer[];
  /** What its card gateway is; default "simulated". Another needs free ports. */
  readonly gateway?: Gateway;
  /** Environment variables of our processes, over the stack's own. */
  readonly environment?: Overrides;
  /** `name=value` as in postgresql.conf, over the stack's own. */
  readonly postgresSettings?: readonly string[];
  /** How many processes of each service; default 1. More than that, and a network, need free ports. */
  readonly replicas?: number;
  /** Whether connections pass proxies that can delay and cut them; default false. */
  readonly network?: boolean;
  /** Whether the clocks of our processes and of PostgreSQL can be moved; default false. */
  readonly clocks?: boolean;
  /** LOG_LEVEL of our processes; default "warn". */
  readonly logLevel?: string;
  /** Whether a component that dies is started again, a bounded number of times; default true. */
  readonly restart?: boolean;
  /** Given up when it fires while starting; nothing is started again once it has fired. */
  readonly signal?: AbortSignal;
}

/** How long a component may take to be ready. */
const readyDeadlineMs = 90_000;

/** What a stack consists of, and what starts it. */
interface StackParts {
  readonly blueprint: Blueprint;
  readonly supervisor: Supervisor;
}

/** @throws StackError when the ports are too few for its replicas and proxies */
function blueprintOf(options: StackOptions, { dataDirectory }: Place, clocks: Clocks | undefined): Blueprint {
  const { ports = portsAt(0), replicas = 1, network = false, gateway = "simulated" } = options;
  return {
    dataDirectory,
    ports,
    credentials: credentialsIn(dataDirectory),
    asksCallers: (options.components ?? everything).includes("identity"),
    logLevel: options.logLevel ?? "warn",
    overrides: options.environment ?? {},
    observers: options.observers ?? [],
    replicas,
    gateway,
    links: network ? linksOf({ ports, replicas, gateway }) : [],
    clocks,
  };
}

/** A running stack: PostgreSQL, Temporal and all our services, with real ports and real data. */
export class Stack implements AsyncDisposable {
  readonly blueprint: Blueprint;
  readonly #supervisor: Supervisor;
  readonly #options: StackOptions;
  readonly #temporary: boolean;

  private constructor(options: StackOptions, place: Place, { blueprint, supervisor }: StackParts) {
    this.#options = options;
    this.#supervisor = supervisor;
    this.#temporary = place.temporary;
    this.blueprint = blueprint;
  }

  /** Starts a stack and returns when every component is ready. @throws StackError with one sentence; nothing is left running */
  static async start(options: StackOptions): Promise<Stack> {
    const place = makePlace(options.dataDirectory);
    await claim(place.dataDirectory);
    let stack: Stack | undefined;
    try {
      const wanted = options.components ?? everything;
      requireSources(wanted);
      const ports = options.ports ?? portsAt(0);
      const listening = [...wanted, ...(options.observers ?? [])].flatMap((component) => portsOf(component, ports));
      await requireFree(options.temporal === "postgres" ? [...listening, ...temporalServerPortsOf(ports)] : listening);
      const clocks = options.clocks
        ? new Clocks(place.dataDirectory, await tool("libfaketime", (line) => options.say?.(line)))
        : undefined;
      const blueprint = blueprintOf(options, place, clocks);
      const supervisor = await Supervisor.open(place.dataDirectory, options);
      stack = new Stack(options, place, { blueprint, supervisor });
      await stack.#startAll(wanted);
      return stack;
    } catch (error) {
      if (stack) await stack.stop();
      else release(place.dataDirectory);
      throw error instanceof ToolError ? new StackError(error.message) : error;
    }
  }

  /** Where clients find it: gRPC for our processes, with more than one replica all of them. */
  address(component: Component): string {
    return addressFor(component, this.blueprint);
  }

  /** What its services are shown by whoever may do everything. */
  get headers(): { readonly authorization: string } {
    return developerHeaders(this.blueprint.credentials);
  }

  /** The base URL of a process's HTTP face. */
  httpUrl(service: Service): string {
    return `http://127.0.0.1:${this.blueprint.ports.http[service]}`;
  }

  /** The base URL of an observer: Jaeger's pages and query API, Prometheus, Elasticsearch. */
  observerUrl(observer: Exclude<Observer, "filebeat">): string {
    return observerUrl(observer, this.blueprint.ports);
  }

  /** The Temporal UI. */
  get temporalUiUrl(): string {
    return `http://127.0.0.1:${this.blueprint.ports.temporalUi}`;
  }

  /** A connection to a service's database: as its runtime role, or as the superuser with role "postgres". */
  databaseUrl(database: string, role = database): string {
    return databaseUrl(this.blueprint, role, database);
  }

  /** What connections pass. @throws StackError when the stack was started without */
  get network(): Network {
    if (this.blueprint.links.length === 0) throw new StackError("This stack has no network: start it with one.");
    return new Network(this.blueprint);
  }

  /** The clocks of its programs. @throws StackError when the stack was started without */
  get clocks(): Clocks {
    if (!this.blueprint.clocks) throw new StackError("This stack has the machine's clock: start it with its own.");
    return this.blueprint.clocks;
  }

  /** The processes of a service, or of a connector. */
  replicas<P extends Service | Connector>(program: P): (P | `${P}-${number}`)[] {
    return replicasOf(program, this.blueprint.replicas);
  }

  /** The connectors that it has besides the simulators. */
  get connectors(): Connector[] {
    return connectorsFor(this.blueprint.gateway);
  }

  /** Settles when the stack cannot go on: a component kept dying, or the guard was killed. */
  get failed(): Promise<StackError> {
    return this.#supervisor.failed;
  }

  /** Sends a signal to a component; by default the one that cannot be caught. It is restarted unless restarts are off. */
  kill(component: Member | Observer, signal: NodeJS.Signals = "SIGKILL"): void {
    this.#supervisor.kill(component, signal);
  }

  /** Ends a component, by default without a warning; it stays away until {@link restart}. */
  takeDown(component: Member | Observer, signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    return this.#supervisor.takeDown(component, signal);
  }

  /** Starts a component again that has ended and is not restarted by itself; waits until it is ready. */
  restart(component: Member | Observer): Promise<void> {
    return this.#supervisor.restart(component);
  }

  /** Waits until a component runs and answers, as after a kill. */
  ready(component: Member | Observer): Promise<void> {
    return this.#supervisor.ready(component, readyDeadlineMs);
  }

  /** The process id of a component, or undefined while it does not run. */
  pid(component: Member | Observer): number | undefined {
    return this.#supervisor.pid(component);
  }

  /** The process ids of everything that a component consists of and that runs: Temporal may have a PostgreSQL of its own. */
  pids(component: Component | Observer): readonly number[] {
    const names = component === "temporal" ? [component, temporalStore] : [component];
    return names.map((name) => this.#supervisor.pid(name)).filter((pid) => pid !== undefined);
  }

  /** The last lines that a component wrote. */
  logs(component: Member | Observer): readonly string[] {
    return this.#supervisor.lines(component);
  }

  /** Stops everything in order; what takes longer than the time is killed. Data stays unless it is temporary. */
  async stop(graceMs = 12_000): Promise<void> {
    await this.#supervisor.stop(graceMs);
    release(this.blueprint.dataDirectory);
    if (!this.#temporary) return;
    removeData(temporalFolder(this.blueprint));
    removeData(this.blueprint.dataDirectory);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #startAll(wanted: readonly Component[]): Promise<void> {
    const has = (component: Component) => wanted.includes(component);
    const startOurs = async () => {
      const { links } = this.blueprint;
      await all([
        has("postgres") && this.#startPostgres(),
        has("temporal") && this.#startTemporal(),
        links.length > 0 && this.#startNetwork(),
      ]);
      if (has("postgres")) await this.#provision([...databaseServices.filter(has), ...this.connectors]);
      const replicas: Replica[] = services.filter(has).flatMap((service) => this.replicas(service));
      await all([
        ...this.connectors.map((connector) => this.#startConnector(connector)),
        ...replicas.map((replica) => this.#startReplica(replica)),
      ]);
    };
    await all([this.#startObservers(), startOurs()]);
  }

  /** Nobody waits for them: spans and lines from before are kept until they are up. */
  async #startObservers(): Promise<void> {
    const { observers } = this.blueprint;
    forgetLines(this.blueprint);
    const first = observers.filter((observer) => observer !== "filebeat");
    await all(first.map((observer) => this.#startObserver(observer)));
    // Only now does Elasticsearch know the fields of what Filebeat brings.
    if (observers.includes("filebeat")) await this.#startObserver("filebeat");
  }

  async #startObserver(observer: Observer): Promise<void> {
    const { spec, probe } = await observerProgram(observer, this.blueprint);
    const start = performance.now();
    await this.#supervisor.start(spec, { probe, deadlineMs: observerDeadlineMs, dispensable: true });
    await prepareObserver(observer, this.blueprint);
    this.#tellReady(observer, observer === "filebeat" ? "reads the logs" : this.observerUrl(observer), start);
  }

  async #startPostgres(): Promise<void> {
    const { dataDirectory, credentials } = this.blueprint;
    const start = performance.now();
    const plan = await preparePostgres(dataDirectory, credentials.postgres);
    const probe = databaseProbe(this.databaseUrl("postgres"));
    const program = postgresProgram(this.blueprint, plan, this.#options.postgresSettings);
    await this.#supervisor.start(program, { probe, deadlineMs: readyDeadlineMs });
    this.#tellReady("postgres", this.address("postgres"), start);
  }

  async #startTemporal(): Promise<void> {
    if (this.#options.temporal === "postgres") return this.#startTemporalServer();
    const executable = await tool("temporal", (line) => this.#options.say?.(line));
    const start = performance.now();
    const address = this.address("temporal");
    await this.#supervisor.start(temporalProgram(this.blueprint, executable), {
      probe: temporalProbe(address),
      isLost: () => hasLostDatabase(address),
      deadlineMs: readyDeadlineMs,
    });
    this.#tellReady("temporal", `${this.address("temporal")}, UI ${this.temporalUiUrl}`, start);
  }

  async #startTemporalServer(): Promise<void> {
    const start = performance.now();
    const say = (line: string) => this.#options.say?.(line);
    await startTemporalServer(this.#supervisor, this.blueprint, { deadlineMs: readyDeadlineMs, say });
    this.#tellReady("temporal", `${this.address("temporal")}, its state in PostgreSQL`, start);
  }

  async #provision(wanted: readonly (DatabaseService | Connector)[]): Promise<void> {
    const start = performance.now();
    for (const service of wanted) {
      const { runtime, owner, reader } = this.blueprint.credentials.roles[service];
      const adminUrl = this.databaseUrl("postgres");
      const passwords = { password: runtime, ownerPassword: owner, readerPassword: reader };
      await provisionDatabase({ adminUrl, service, ...passwords });
    }
    if (wanted.length === 0) return;
    await this.#supervisor.runOnce(migrationsProgram(this.blueprint, wanted));
    this.#tellReady("migrations", wanted.join(", "), start);
  }

  async #startNetwork(): Promise<void> {
    const executable = await tool("toxiproxy", (line) => this.#options.say?.(line));
    const start = performance.now();
    const url = networkUrl(this.blueprint);
    const program = { ...common(this.blueprint, "network"), ...networkProgram(this.blueprint, executable) };
    await this.#supervisor.start(program, { probe: httpProbe(`${url}/version`), deadlineMs: readyDeadlineMs });
    this.#tellReady("network", url, start);
  }

  async #startReplica(replica: Replica): Promise<void> {
    const { ports } = this.blueprint;
    const start = performance.now();
    const probe = healthProbe(addressOf(replica, ports));
    await this.#supervisor.start(serviceProgram(this.blueprint, replica), { probe, deadlineMs: readyDeadlineMs });
    const { grpc, http } = replicaPorts(replica, ports);
    this.#tellReady(replica, `gRPC 127.0.0.1:${grpc}, HTTP 127.0.0.1:${http}`, start);
  }

  /** The world behind it comes first. */
  async #startConnector(connector: Connector): Promise<void> {
    const start = performance.now();
    const { ports } = this.blueprint;
    const world = { probe: httpProbe(`http://127.0.0.1:${worldPort(ports)}/fake`), deadlineMs: readyDeadlineMs };
    await this.#supervisor.start(fakeStripeProgram(this.blueprint), world);
    const startOne = async (replica: ConnectorReplica) => {
      const { grpc, http } = connectorPorts(replica, ports);
      const probe = healthProbe(`127.0.0.1:${grpc}`);
      await this.#supervisor.start(stripeProgram(this.blueprint, replica), { probe, deadlineMs: readyDeadlineMs });
      this.#tellReady(replica, `gRPC 127.0.0.1:${grpc}, HTTP 127.0.0.1:${http}`, start);
    };
    await all(this.replicas(connector).map(startOne));
  }

  #tellReady(component: string, detail: string, since: number): void {
    this.#options.ready?.(component, detail, performance.now() - since);
  }
}

/**
 * Waits for all even when one fails, so that nothing is started behind the back of the one that cleans up.
 *
 * @throws what the first of them failed with
 */
async function all(work: readonly (Promise<void> | false)[]): Promise<void> {
  const results = await Promise.allSettled(work);
  const failure = results.find((result) => result.status === "rejected");
  if (failure) throw failure.reason;
}
