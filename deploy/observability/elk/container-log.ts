import { appendFileSync, mkdirSync, renameSync } from "node:fs";
import { dirname, join } from "node:path";

/** Which container of which pod wrote a log. */
export interface ContainerName {
  readonly namespace: string;
  readonly pod: string;
  readonly uid: string;
  readonly container: string;
}

/** containerd cuts what a process writes into pieces of this many bytes; all but the last are marked partial. */
const pieceBytes = 16 * 1024;

/**
 * Writes lines as a container runtime does for the kubelet: same folder, same format (CRI), same cutting of long lines,
 * same way to rotate. So the shipper's configuration for a cluster can be used, and tested, without one.
 */
export class ContainerLog {
  readonly #file: string;
  #rotated = 0;

  /** @param root stands for /var/log/pods */
  constructor(root: string, { namespace, pod, uid, container }: ContainerName) {
    this.#file = join(root, `${namespace}_${pod}_${uid}`, container, "0.log");
    mkdirSync(dirname(this.#file), { recursive: true });
  }

  /** Appends one line that a process wrote. */
  write(line: string, stream: "stdout" | "stderr" = "stdout"): void {
    const bytes = Buffer.from(line);
    let entries = "";
    for (let at = 0; at === 0 || at < bytes.length; at += pieceBytes) {
      const last = at + pieceBytes >= bytes.length;
      // One byte is one character here, so that a piece may end in the middle of a character, as it does there.
      const piece = bytes.subarray(at, at + pieceBytes).toString("latin1");
      entries += `${now()} ${stream} ${last ? "F" : "P"} ${piece}\n`;
    }
    appendFileSync(this.#file, entries, "latin1");
  }

  /** Begins a new file and renames the present one, as the kubelet does when it is too large. */
  rotate(): void {
    this.#rotated += 1;
    renameSync(this.#file, `${this.#file}.20261121-${String(this.#rotated).padStart(6, "0")}`);
    appendFileSync(this.#file, "");
  }
}

function now(): string {
  return new Date().toISOString().replace("Z", `${String(process.hrtime()[1] % 1_000_000).padStart(6, "0")}Z`);
}
