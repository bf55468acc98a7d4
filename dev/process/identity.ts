import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

/**
 * Tells one life of a process id from another: when the process started, in the system's own unit. Undefined when no
 * such process runs (a zombie does not run). A number that the system has given to another process since reads
 * differently, so nothing is ever killed by a stale number.
 */
export function identityOf(pid: number): string | undefined {
  if (!Number.isInteger(pid) || pid <= 0) return undefined;
  return process.platform === "linux" ? fromProc(pid) : fromPs(pid);
}

/** Field 22 of /proc/<pid>/stat is the start in clock ticks since boot; field 3 the state (proc(5)). */
function fromProc(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The name in field 2 may hold spaces and brackets itself.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" || fields[0] === "X" ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

function fromPs(pid: number): string | undefined {
  try {
    const line = execFileSync("ps", ["-o", "state=,lstart=", "-p", String(pid)], { encoding: "utf8" }).trim();
    return line === "" || line.startsWith("Z") ? undefined : line.replace(/^\S+\s+/, "").replaceAll(" ", "_");
  } catch {
    return undefined;
  }
}

/** The parent of a process and its command line, or undefined when it is gone. */
export function ancestryOf(pid: number): { parent: number; command: string } | undefined {
  try {
    if (process.platform === "linux") {
      const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();
      const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
      return { parent: Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]), command };
    }
    const line = execFileSync("ps", ["-o", "ppid=,args=", "-p", String(pid)], { encoding: "utf8" }).trim();
    const [, parent, command] = /^(\d+)\s+(.*)$/.exec(line) ?? [];
    return parent && command !== undefined ? { parent: Number(parent), command } : undefined;
  } catch {
    return undefined;
  }
}
