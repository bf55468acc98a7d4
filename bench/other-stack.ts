// `node other-stack.ts <checkout>`: starts the stack of another checkout of this repository, with that checkout's own code,
// writes where it listens and which processes it has as one line of JSON, and stops it when its own input ends.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { packingMs } from "./order-load.ts";

/** Where a stack listens and what it consists of. */
export interface OtherStack {
  /** `host:port` for gRPC, by service. */
  readonly addresses: Readonly<Record<"orders" | "inventory", string>>;
  /** What callers show; empty where nobody is asked. */
  readonly headers: { readonly authorization: string };
  /** By component. */
  readonly pids: Readonly<Record<string, number>>;
}

/** What is called of the other checkout: the same since there has been a stack. */
interface Modules {
  readonly Stack: {
    start(options: unknown): Promise<{
      address(component: string): string;
      readonly headers?: OtherStack["headers"];
      pid(component: string): number | undefined;
      stop(): Promise<void>;
    }>;
  };
  readonly freePorts: () => Promise<unknown>;
  readonly components: readonly string[];
}

async function modulesOf(checkout: string): Promise<Modules> {
  // Where the files lay before the house was put in order, and since.
  const folder = ["dev/stack", "deploy/dev"].map((path) => join(checkout, path)).find((path) => existsSync(path));
  if (!folder) throw new Error(`${checkout} has no stack`);
  const files = ["stack.ts", "free-ports.ts", "layout.ts"].map((file) => pathToFileURL(join(folder, file)).href);
  const [stack, ports, layout] = await Promise.all(files.map((file) => import(file)));
  return { Stack: stack.Stack, freePorts: ports.freePorts, components: layout.components };
}

const [checkout = ""] = process.argv.slice(2);
const { Stack, freePorts, components } = await modulesOf(checkout);
const packing = { PACKING_MS: String(packingMs) };
// The version before has the simulated warehouse in shipping.
const environment = { shipping: packing, simulators: packing };
const stack = await Stack.start({ ports: await freePorts(), environment });
const there: OtherStack = {
  addresses: { orders: stack.address("orders"), inventory: stack.address("inventory") },
  headers: stack.headers ?? { authorization: "" },
  pids: Object.fromEntries(components.map((name) => [name, stack.pid(name) ?? 0])),
};
process.stdout.write(`${JSON.stringify(there)}\n`);
process.stdin.on("end", () => stack.stop().then(() => process.exit(0)));
process.stdin.resume();
