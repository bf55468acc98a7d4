import { mkdirSync } from "node:fs";
import { childEnvironment } from "../config.ts";
import type { ProgramSpec } from "../process/guard-protocol.ts";
import { httpProbe } from "../process/readiness.ts";
import { tool } from "../tools/tool.ts";
import type { Watchable } from "./elk.ts";

/** What a NATS listens on, on this machine only, and where its streams are. */
export interface NatsPlace {
  /** Clients. */
  readonly nats: number;
  /** Health and figures. */
  readonly natsMonitor: number;
  readonly directory: string;
}

const host = "127.0.0.1";

/** How the server is started: with JetStream, whose streams are files. */
export function natsArguments({ nats, natsMonitor, directory }: NatsPlace): string[] {
  const listen = ["--addr", host, "--port", String(nats), "--http_port", String(natsMonitor)];
  return [...listen, "--jetstream", "--store_dir", directory];
}

/** NATS in one process. @throws ToolError when it is not to be had */
export async function natsProgram(
  common: Pick<ProgramSpec, "name" | "cwd" | "logFile">,
  place: NatsPlace,
): Promise<Watchable> {
  mkdirSync(place.directory, { recursive: true });
  const spec: ProgramSpec = {
    ...common,
    command: await tool("nats-server"),
    args: natsArguments(place),
    env: childEnvironment({}),
    stopSignal: "SIGTERM",
    stopOrder: 2,
  };
  return { spec, probe: httpProbe(`http://${host}:${place.natsMonitor}/healthz`) };
}
