import type { ProgramSpec } from "./guard-protocol.ts";
import type { Probe } from "./readiness.ts";

/** What the supervisor tells. */
export interface SupervisorListener {
  say?(sentence: string): void;
  line?(name: string, line: string): void;
  readonly restart?: boolean;
  readonly signal?: AbortSignal;
}

/** How a program is known to do its work. */
export interface Care {
  /** Throws while it cannot. */
  readonly probe: Probe;
  /** How long it may take at first. */
  readonly deadlineMs: number;
  /** Whether it runs but will never do its work again; then it is killed, and started again. */
  readonly isLost?: () => Promise<boolean>;
  /** Whether the others do without it when it keeps dying. */
  readonly dispensable?: boolean;
}

/** A program with what is known of it. */
export interface Watched {
  readonly spec: ProgramSpec;
  readonly care?: Care;
  readonly lines: string[];
  state: "starting" | "running" | "ended";
  /** How it ended last. */
  how: string;
  /** Whether it was taken down: it stays away until somebody has it restarted. */
  held: boolean;
  /** When it was restarted lately, epoch milliseconds. */
  restarts: number[];
  readonly onEnd: (() => void)[];
}

/** What a program is at first. */
export function newlyWatched(spec: ProgramSpec, care?: Care): Watched {
  return { spec, ...(care && { care }), lines: [], state: "starting", how: "", held: false, restarts: [], onEnd: [] };
}

/** What a dead program is remembered by: how it ended, its last line, and where its log is. */
export function obituary({ spec, how, lines }: Watched): string {
  // The last line that says something: a stack trace is in the log.
  const last = lines.findLast((line) => /^\S*\w/.test(line.trimStart()) && !/^\s+at |^Node\.js v/.test(line));
  return `${spec.name} ended ${how}${last ? `; its last line: ${last.trim()}` : ""} (log: ${spec.logFile}).`;
}
