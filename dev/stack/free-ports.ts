import { createServer } from "node:net";
import { StackError } from "../errors.ts";
import { allPorts, type Ports, portsAt, portsFrom } from "./layout.ts";
import { host, isFree } from "./ports.ts";

/** How far the usual ports are moved; or, with "free", that any will do. */
export type PortOffset = number | "free";

/** The ports of a stack that was asked for with an offset. @throws StackError when no others are free */
export function portsFor(offset: PortOffset): Promise<Ports> {
  return offset === "free" ? freePorts() : Promise.resolve(portsAt(offset));
}

/** Below what systems give to outgoing connections and Kubernetes to node ports. */
const firstSlot = 10_000;
const slots = 133;
/** More than a stack needs, with nine services. */
const slotSize = 150;

/**
 * Ports that are free, for a stack beside others. They are one of several slots, and whoever listens on the last port of
 * a slot has it: so this process keeps it until its end, and two that look at the same time never find the same.
 */
export async function freePorts(): Promise<Ports> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const first = firstSlot + slotSize * Math.floor(Math.random() * slots);
    if (!(await hold(first + slotSize - 1))) continue;
    const ports = portsFrom(first);
    const all = [...allPorts(ports).map(({ port }) => port), ...ports.spare];
    const free = await Promise.all(all.map(isFree));
    if (free.every(Boolean)) return ports;
  }
  throw new StackError("No range of ports was free in a hundred attempts.");
}

/** Listens for as long as the process lives, and does not keep it alive. */
function hold(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const holder = createServer((socket) => socket.destroy());
    holder.once("error", () => resolve(false));
    holder.listen(port, host, () => resolve(true)).unref();
  });
}
