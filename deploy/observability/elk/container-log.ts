import { appendFileSync, mkdirSync, renameSync, rmSync } from "node:fs";
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
/** When the kubelet begins a new file, and how many it keeps (containerLogMaxSize, containerLogMaxFiles). */
const maxBytes = 10 * 1024 * 1024;
const maxFiles = 5;

/**
 * Writes lines as a container runtime does for the kubelet: same folder, same format (CRI), same cutting of long lines,
 * same way to rotate. So the shipper's configuration for a cluster can be used, and tested, without one.
 */
export class ContainerLog {
  readonly #file: string;
  #rotated = 0;
  #bytes = 0;

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
    this.#bytes += entries.length;
    if (this.#bytes > maxBytes) this.rotate();
  }

  /** Begins a new file and renames the present one, as the kubelet does when it is too large. */
  rotate(): void {
    this.#rotated += 1;
    this.#bytes = 0;
    renameSync(this.#file, this.#rotatedFile(this.#rotated));
    rmSync(this.#rotatedFile(this.#rotated - maxFiles + 1), { force: true });
    appendFileSync(this.#file, "");
  }

  #rotatedFile(count: number): string {
    return `${this.#file}.20261121-${String(count).padStart(6, "0")}`;
  }
}

function now(): string {
  return new Date().toISOString().replace("Z", `${String(process.hrtime()[1] % 1_000_000).padStart(6, "0")}Z`);
}
