// A process of the test service, and what it says.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { createClient } from "@connectrpc/connect";
import { ConformanceService } from "#gen/ordermesh/testing/v1/conformance_service_pb.js";
import { openChannel } from "#platform/grpc/channel.ts";
import { GrpcTransport } from "#platform/grpc/transport.ts";
import { bareEnvironment } from "#testing/bare-environment.ts";
import { testEnvironment } from "../faces/conformance.ts";

/** A child process with all that it has said. */
export class Fixture implements AsyncDisposable {
  readonly child: ChildProcess;
  readonly lines: string[] = [];
  readonly exit: Promise<number | null>;
  #errors = "";
  #wake: (() => void)[] = [];

  constructor(env: NodeJS.ProcessEnv = {}, args: string[] = []) {
    const file = join(import.meta.dirname, "process-fixture.ts");
    const all = { ...bareEnvironment, ...testEnvironment, LOG_LEVEL: "info", ...env };
    this.child = spawn(process.execPath, [file, ...args], { env: all, stdio: ["ignore", "pipe", "pipe"] });
    this.exit = once(this.child, "close").then(([code]) => code);
    this.child.stderr?.on("data", (chunk) => (this.#errors += chunk));
    if (!this.child.stdout) throw new Error("no output");
    createInterface(this.child.stdout).on("line", (line) => {
      this.lines.push(line);
      for (const wake of this.#wake.splice(0)) wake();
    });
    void this.exit.then(() => this.#wake.splice(0).forEach((wake) => void wake()));
  }

  get errors(): string {
    return this.#errors;
  }

  /** The first line of the log with this message. */
  async line(message: string): Promise<Record<string, unknown>> {
    for (;;) {
      const found = this.lines.map((line) => JSON.parse(line)).find((line) => line.message === message);
      if (found) return found;
      if (this.child.exitCode !== null) throw new Error(`ended without "${message}": ${this.errors}`);
      await new Promise<void>((resolve) => this.#wake.push(resolve));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill("SIGKILL");
    await this.exit;
  }
}

/** A client of the process by gRPC, and its ports. */
export async function connect(fixture: Fixture) {
  const ports = await fixture.line("listening");
  const channel = openChannel(`127.0.0.1:${ports["server.grpc.port"]}`, 1e6);
  const client = createClient(ConformanceService, new GrpcTransport(channel, { defaultTimeoutMs: 5_000 }));
  return { client, ports, [Symbol.dispose]: () => channel.close() };
}
