import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { killed } from "#testing/killed.ts";
import { until } from "#testing/until.ts";
import { natsArguments } from "../observers/nats.ts";
import { freePorts } from "../stack/free-ports.ts";
import { tool } from "../tools/tool.ts";

/** A broker that can be killed, frozen and started again with what it had kept. */
export class NatsServer implements AsyncDisposable {
  readonly #folder = mkdtempSync(join(tmpdir(), "ordermesh-nats-"));
  readonly #ports: { readonly nats: number; readonly natsMonitor: number };
  #child: ChildProcess | undefined;

  private constructor(ports: { readonly nats: number; readonly natsMonitor: number }) {
    this.#ports = ports;
  }

  static async start(): Promise<NatsServer> {
    const server = new NatsServer((await freePorts()).observers);
    await server.run();
    return server;
  }

  get url(): string {
    return `nats://127.0.0.1:${this.#ports.nats}`;
  }

  /** Starts it, with what it kept. */
  async run(...more: string[]): Promise<void> {
    const settings = natsArguments({ ...this.#ports, directory: this.#folder });
    this.#child = spawn(await tool("nats-server"), [...settings, ...more], { stdio: "ignore" });
    const health = `http://127.0.0.1:${this.#ports.natsMonitor}/healthz`;
    await until(async () => (await fetch(health)).ok, "the broker is up");
  }

  /** SIGSTOP freezes it, SIGCONT has it go on. */
  signal(name: NodeJS.Signals): void {
    this.#child?.kill(name);
  }

  kill(): Promise<void> {
    return killed(this.#child);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
