import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { connect, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { provisionDatabase } from "#platform/database/provision.ts";
import { type Balance, type BooksSources, takeBalance } from "../../../services/books/src/balance/balance.ts";
import { accountedServices, type DatabaseService, databaseServices } from "../../../services/services.ts";
import { startFilebeat } from "../../observers/elk.ts";
import { JaegerQuery } from "../../observers/jaeger-query.ts";
import { Supervisor } from "../../process/supervisor.ts";
import type { RolePasswords } from "../../stack/credentials.ts";
import { freePorts } from "../../stack/free-ports.ts";
import { openSimulatedWorld } from "../../stack/simulated-world.ts";
import { Stack } from "../../stack/stack.ts";
import type { Say } from "../../tools/tool.ts";

/** The namespace with the services that lead out of the cluster. */
export const outsideNamespace = "ordermesh-outside";

/** What the mesh needs besides itself, by the name and the port under which pods reach it. */
const outside = { postgres: 5432, temporal: 7233, jaeger: 14268 } as const;
type Outside = keyof typeof outside;

/** `host:port` of a neighbour, for a pod. */
export function outsideAddress(name: Outside): string {
  return `${name}.${outsideNamespace}:${outside[name]}`;
}

/** Passwords of the roles that the mesh uses. */
export type Passwords = Readonly<Record<DatabaseService, RolePasswords>>;

/**
 * PostgreSQL, Temporal, Jaeger, Elasticsearch and Filebeat on this machine, as a platform has them beside the mesh. They
 * listen on this machine alone; doors at the address that pods know lead to those that pods need.
 */
export class Surroundings implements AsyncDisposable {
  readonly stack: Stack;
  readonly jaeger: JaegerQuery;
  readonly #address: string;
  readonly #doors: Server[] = [];
  readonly #logs: LogReader | undefined;

  private constructor(stack: Stack, address: string, logs: LogReader | undefined) {
    this.stack = stack;
    this.#address = address;
    this.#logs = logs;
    this.jaeger = new JaegerQuery(stack.observerUrl("jaeger"));
  }

  /** @param place `address`: of this machine, for pods; `podLogs`: the kubelet's folder of logs, when it is on this machine */
  static async open(place: { address: string; podLogs?: string; namespace: string }, say: Say): Promise<Surroundings> {
    const stack = await Stack.start({
      ports: await freePorts(),
      components: ["postgres", "temporal"],
      observers: place.podLogs ? ["jaeger", "elasticsearch"] : ["jaeger"],
      ready: (component, _, ms) => say(`${component} after ${(ms / 1_000).toFixed(1)} s`),
      say,
    });
    const logs = place.podLogs ? await readLogs(stack, place.podLogs, place.namespace) : undefined;
    const surroundings = new Surroundings(stack, place.address, logs);
    try {
      await surroundings.#openDoors();
      return surroundings;
    } catch (error) {
      await surroundings[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #openDoors(): Promise<void> {
    const { ports } = this.stack.blueprint;
    const inside = { postgres: ports.postgres, temporal: ports.temporal, jaeger: ports.observers.jaegerThrift };
    for (const [name, port] of Object.entries(outside)) {
      this.#doors.push(await openDoor({ address: this.#address, port, inside: inside[name as Outside] }));
    }
  }

  /** Makes every database and role, and returns the passwords. */
  async provision(): Promise<Passwords> {
    const { roles } = this.stack.blueprint.credentials;
    const adminUrl = this.stack.databaseUrl("postgres");
    for (const service of databaseServices) {
      const { runtime, owner, reader } = roles[service];
      const passwords = { password: runtime, ownerPassword: owner, readerPassword: reader };
      await provisionDatabase({ adminUrl, service, ...passwords });
    }
    return roles;
  }

  /** Services without a selector, whose only endpoint is the door. */
  objects(): object[] {
    return Object.entries(outside).flatMap(([name, port]) => {
      const metadata = { name, namespace: outsideNamespace };
      const labels = { "kubernetes.io/service-name": name };
      const ports = [{ name: "tcp", port, protocol: "TCP" }];
      return [
        { apiVersion: "v1", kind: "Service", metadata, spec: { ports } },
        {
          apiVersion: "discovery.k8s.io/v1",
          kind: "EndpointSlice",
          metadata: { ...metadata, labels },
          addressType: "IPv4",
          ports,
          endpoints: [{ addresses: [this.#address] }],
        },
      ];
    });
  }

  /** Whether stock and money are in balance. */
  async balance(): Promise<Balance> {
    const urls = accountedServices.map((name) => [name, this.stack.databaseUrl(name, "postgres")] as const);
    await using outside = await openSimulatedWorld(this.stack.databaseUrl("simulators", "postgres"));
    const sources = {
      urls: Object.fromEntries(urls) as BooksSources["urls"],
      gateway: outside.gateway,
      carrier: outside.carrier,
    };
    return await takeBalance(sources);
  }

  /** Kills one of them, and waits until it runs again. */
  async restart(component: "postgres" | "temporal"): Promise<void> {
    this.stack.kill(component);
    await this.stack.ready(component);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const door of this.#doors) door.close();
    await this.#logs?.supervisor.stop(10_000);
    if (this.#logs) await rm(this.#logs.folder, { recursive: true, force: true });
    await this.stack.stop();
  }
}

/** A Filebeat that reads the logs of pods, and where it keeps how far it has come. */
interface LogReader {
  readonly supervisor: Supervisor;
  readonly folder: string;
}

async function readLogs(stack: Stack, logs: string, namespace: string): Promise<LogReader> {
  const folder = await mkdtemp(join(tmpdir(), "ordermesh-logs-"));
  await mkdir(join(folder, "run"));
  const supervisor = await Supervisor.open(folder, { restart: true });
  const { elasticsearch: elasticsearchPort } = stack.blueprint.ports.observers;
  await startFilebeat(supervisor, { directory: folder, elasticsearchPort, logs, namespace });
  return { supervisor, folder };
}

/** Passes connections on to a port of this machine. What breaks on one side breaks on the other. */
function openDoor(door: { address: string; port: number; inside: number }): Promise<Server> {
  const server = createServer((outer) => {
    const inner = connect(door.inside, "127.0.0.1");
    outer.pipe(inner).pipe(outer);
    for (const [one, other] of [
      [outer, inner],
      [inner, outer],
    ] as const) {
      one.on("error", () => other.destroy()).on("close", () => other.destroy());
    }
  });
  // It must not keep this process alive once everything else is done.
  server.unref();
  return new Promise((resolve, reject) => {
    server.once("error", reject).listen(door.port, door.address, () => resolve(server));
  });
}
