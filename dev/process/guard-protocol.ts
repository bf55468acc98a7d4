import type { ContainerName } from "../../deploy/observability/elk/container-log.ts";

/** A program that the guard starts and keeps an eye on. */
export interface ProgramSpec {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly uid?: number;
  readonly gid?: number;
  /** Everything the program writes goes here too. */
  readonly logFile: string;
  /** Where it goes besides as a container's log, for a log shipper; `root` stands for /var/log/pods. */
  readonly podLog?: ContainerName & { readonly root: string };
  /** What asks the program to end in good order. */
  readonly stopSignal: NodeJS.Signals;
  /** Programs stop in the order of this number, equal ones together. */
  readonly stopOrder: number;
}

/** One life of a process. */
export interface Life {
  readonly name: string;
  readonly pid: number;
  /** From {@link import("./identity.ts").identityOf}. */
  readonly started: string;
}

/** What the stack tells the guard. */
export type Command =
  | { readonly type: "start"; readonly spec: ProgramSpec }
  /** Stops everything in order; a program that does not end within the time is killed. The guard ends afterwards. */
  | { readonly type: "stop"; readonly graceMs: number };

/** What the guard tells the stack. */
export type Report =
  | { readonly type: "ready" }
  | { readonly type: "started"; readonly life: Life }
  | { readonly type: "failed"; readonly name: string; readonly message: string }
  | { readonly type: "ended"; readonly life: Life; readonly code: number | null; readonly signal: string | null }
  | { readonly type: "line"; readonly name: string; readonly line: string };

/** Where the guard writes down what runs, so that the next start can clean up after a guard that was killed. */
export interface Ledger {
  /** The process that started the stack. */
  readonly owner: Life;
  readonly guard: Life;
  readonly programs: readonly Life[];
}
