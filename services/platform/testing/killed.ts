import type { ChildProcess } from "node:child_process";
import { once } from "node:events";

/** Ends a process without a warning, unless it has ended, and waits until it has. */
export async function killed(child: ChildProcess | undefined): Promise<void> {
  if (!child || child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill("SIGKILL");
  await ended;
}
