import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { searchPath } from "../tools/config.ts";
import { ClusterError } from "./errors.ts";
import { programPath } from "./programs.ts";

/** What a command wrote, and how it ended. */
export interface Answer {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** How a command is run. */
export interface Call {
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  /** Where it runs; in this process's folder when left out. */
  readonly cwd?: string;
  readonly input?: string;
  readonly timeoutMs: number;
}

/** Runs a command and keeps its two streams apart. Never throws for how it ends. */
export function execute({ command, args, env, cwd, input, timeoutMs }: Call): Promise<Answer> {
  const child = spawn(command, args, { env, cwd, stdio: "pipe" });
  const timer = setTimeout(() => child.kill("SIGKILL"), timeoutMs);
  const out = { stdout: "", stderr: "" };
  for (const stream of ["stdout", "stderr"] as const) {
    child[stream].setEncoding("utf8").on("data", (text: string) => {
      out[stream] += text;
    });
  }
  // A command that ends before it has read everything says so by its code.
  child.stdin.on("error", () => undefined).end(input ?? "");
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => {
      clearTimeout(timer);
      resolve({ ...out, code: code ?? 137 });
    });
  });
}

/** A cluster as its user sees it: by kubectl. */
export class Kubectl {
  readonly #kubeconfig: string;
  readonly #command: readonly string[];

  constructor(kubeconfig: string) {
    this.#kubeconfig = kubeconfig;
    const installed = searchPath.map((folder) => join(folder, "kubectl")).find((path) => existsSync(path));
    this.#command = existsSync(programPath("node")) ? [programPath("node"), "kubectl"] : [installed ?? "kubectl"];
  }

  get kubeconfig(): string {
    return this.#kubeconfig;
  }

  /** Runs kubectl. @throws ClusterError with what it said when it fails */
  async run(args: readonly string[], options: { input?: string; timeoutMs?: number } = {}): Promise<string> {
    const { code, stdout, stderr } = await this.try(args, options);
    if (code !== 0) throw new ClusterError(`kubectl ${args.slice(0, 4).join(" ")} failed: ${stderr.trim()}`);
    return stdout;
  }

  /** Runs kubectl, however it ends. */
  try(args: readonly string[], options: { input?: string; timeoutMs?: number } = {}): Promise<Answer> {
    const [command = "kubectl", ...first] = this.#command;
    const { input, timeoutMs = 60_000 } = options;
    const all = [...first, "--kubeconfig", this.#kubeconfig, ...args];
    return execute({ command, args: all, timeoutMs, ...(input === undefined ? {} : { input }) });
  }

  /** Starts kubectl and leaves it running: the caller ends it. */
  start(args: readonly string[]): ChildProcess {
    const [command = "kubectl", ...first] = this.#command;
    return spawn(command, [...first, "--kubeconfig", this.#kubeconfig, ...args], {
      stdio: ["ignore", "pipe", "pipe"],
    });
  }

  /** Reads objects as JSON. */
  async get<T>(args: readonly string[]): Promise<T> {
    return JSON.parse(await this.run(["get", ...args, "-o", "json"])) as T;
  }

  /** Creates or changes objects. */
  async apply(objects: readonly object[] | string): Promise<void> {
    const input =
      typeof objects === "string" ? objects : JSON.stringify({ apiVersion: "v1", kind: "List", items: objects });
    await this.run(["apply", "-f", "-"], { input });
  }
}
