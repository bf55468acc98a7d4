import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { healthProbe, untilReady } from "../../../dev/process/readiness.ts";
import { type Say, tool } from "../../../dev/tools/tool.ts";

/** Where the gateway listens, and the file in which it remembers. */
export interface GoGatewayPlace {
  readonly port: number;
  readonly journal: string;
  /** Told while it is built. */
  readonly say?: Say;
}

const readyDeadlineMs = 30_000;

/** The gateway in Go as a process, which can be killed and started again with what it remembers. */
export class GoGateway implements AsyncDisposable {
  readonly #program: string;
  readonly #place: GoGatewayPlace;
  #child: ChildProcess | undefined;

  private constructor(program: string, place: GoGatewayPlace) {
    this.#program = program;
    this.#place = place;
  }

  /** Builds it, if that was not done before, and starts it. @throws ToolError when there is no Go */
  static async start(place: GoGatewayPlace): Promise<GoGateway> {
    const gateway = new GoGateway(await tool("gateway-go", place.say), place);
    await gateway.run();
    return gateway;
  }

  get address(): string {
    return `127.0.0.1:${this.#place.port}`;
  }

  /** Starts it, and returns when it answers. @throws StackError when it ends instead */
  async run(): Promise<void> {
    const args = ["-listen", this.address, "-journal", this.#place.journal];
    const child = spawn(this.#program, args, { stdio: ["ignore", "ignore", "inherit"] });
    this.#child = child;
    const check = () => {
      if (child.exitCode !== null) throw new Error(`the gateway ended with code ${child.exitCode}`);
    };
    await untilReady("the gateway", healthProbe(this.address), { deadlineMs: readyDeadlineMs, check });
  }

  /** SIGSTOP freezes it, SIGCONT has it go on. */
  signal(name: NodeJS.Signals): void {
    this.#child?.kill(name);
  }

  /** Ends it without a warning. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill("SIGKILL");
    await ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}
