import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { childEnvironment } from "../config.ts";
import { StackError } from "../errors.ts";
import type { ProgramSpec } from "../process/guard-protocol.ts";
import { type Blueprint, host } from "./blueprint.ts";
import { controlPort, type Link } from "./links.ts";

/** What a proxy can do to what passes it; see https://github.com/Shopify/toxiproxy#toxics. Times are milliseconds. */
export type Toxic =
  | { readonly type: "latency"; readonly attributes: { readonly latency: number; readonly jitter: number } }
  /** Data vanishes; the connection ends when the toxic is taken away. */
  | { readonly type: "timeout"; readonly attributes: { readonly timeout: 0 } }
  /** The connection is reset when data comes. */
  | { readonly type: "reset_peer"; readonly attributes: { readonly timeout: number } };

/** Requests go upstream, answers downstream. */
export type Stream = "upstream" | "downstream";

/** How long the proxies may take to do what they are told, on a machine that is busy; milliseconds. */
const timeoutMs = 60_000;

/** The proxies between the processes of a stack. */
export class Network {
  readonly links: readonly Link[];
  readonly #url: string;

  constructor(blueprint: Pick<Blueprint, "ports" | "replicas" | "links">) {
    this.links = blueprint.links;
    this.#url = networkUrl(blueprint);
  }

  /** Has something done to what passes a link. The returned function ends it. @throws StackError */
  async disturb(link: string, toxic: Toxic, streams: readonly Stream[]): Promise<() => Promise<void>> {
    const names = streams.map((stream) => `${toxic.type}-${stream}`);
    for (const [index, stream] of streams.entries()) {
      await this.#ask("POST", `/proxies/${link}/toxics`, { ...toxic, name: names[index], stream });
    }
    return async () => {
      for (const name of names) await this.#ask("DELETE", `/proxies/${link}/toxics/${name}`);
    };
  }

  /** Ends the connections of a link, and refuses new ones until it is joined again. @throws StackError */
  async part(link: string): Promise<void> {
    await this.#ask("POST", `/proxies/${link}`, { enabled: false });
  }

  /** @throws StackError */
  async join(link: string): Promise<void> {
    await this.#ask("POST", `/proxies/${link}`, { enabled: true });
  }

  async #ask(method: string, path: string, body?: object): Promise<void> {
    const answer = await fetch(`${this.#url}${path}`, {
      method,
      ...(body && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(timeoutMs),
    }).catch((error: Error) => {
      throw new StackError(`toxiproxy does not answer ${method} ${path}: ${error.message}.`);
    });
    const text = await answer.text();
    if (!answer.ok) throw new StackError(`toxiproxy answered ${method} ${path} with ${answer.status}: ${text.trim()}`);
  }
}

/** Where the proxies are told what to do. */
export function networkUrl({ ports, replicas }: Pick<Blueprint, "ports" | "replicas">): string {
  return `http://${host}:${controlPort(ports, replicas)}`;
}

/** The program that all links go through. */
export function networkProgram(
  blueprint: Blueprint,
  executable: string,
): Omit<ProgramSpec, "name" | "cwd" | "logFile"> {
  const file = join(blueprint.dataDirectory, "network.json");
  const proxies = blueprint.links.map(({ name, port, to }) => ({
    name,
    listen: `${host}:${port}`,
    upstream: `${host}:${to}`,
    enabled: true,
  }));
  writeFileSync(file, JSON.stringify(proxies));
  const { port } = new URL(networkUrl(blueprint));
  return {
    command: executable,
    args: ["-host", host, "-port", port, "-config", file],
    env: childEnvironment({ LOG_LEVEL: "error" }),
    stopSignal: "SIGTERM",
    stopOrder: 2,
  };
}
