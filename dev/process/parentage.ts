import type { ChildProcess } from "node:child_process";
import { startedByNpm } from "../config.ts";
import { ancestryOf, identityOf } from "./identity.ts";

const intervalMs = 500;
/** From here to npm: bootstrap and npm itself, maybe a shell between them; one more to be sure. */
const maxSteps = 4;

/**
 * Calls back once when a process that started this one is gone, however it went: our parent, and everything between
 * us and npm when npm started us. A `kill -9` of npm tells nobody.
 */
export function onOrphaned(callback: () => void): void {
  const lives = ancestors().map((pid) => ({ pid, started: identityOf(pid) }));
  const timer = setInterval(() => {
    if (lives.every(({ pid, started }) => identityOf(pid) === started)) return;
    clearInterval(timer);
    callback();
  }, intervalMs);
  timer.unref();
}

/** Ends a child when we are told to, or whoever started us is gone. */
export function endWithUs(child: ChildProcess): void {
  const stop = () => child.kill("SIGTERM");
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, stop);
  onOrphaned(stop);
}

function ancestors(): number[] {
  const found: number[] = [];
  let pid = process.ppid;
  while (pid > 1 && found.length < maxSteps) {
    found.push(pid);
    const ancestry = ancestryOf(pid);
    // npm names its process "npm start"; before that it is "node …/npm-cli.js start".
    if (!ancestry || !startedByNpm || /^npm\b|npm-cli\.js/.test(ancestry.command)) break;
    pid = ancestry.parent;
  }
  // When npm is not among them, somebody's shell may be; its end is not ours.
  const npm = found.some((ancestor) => /^npm\b|npm-cli\.js/.test(ancestryOf(ancestor)?.command ?? ""));
  return npm ? found : found.slice(0, 1);
}
