import { Counter, type Registry } from "prom-client";
import type { RepeatedLines } from "./log-sampling.ts";

/** Shows how many lines of the log were left out because they repeat. */
export function countLeftOutLines(registry: Registry, lines: RepeatedLines): void {
  new Counter({
    name: "log_lines_left_out_total",
    help: "Log lines that were not written because they repeat; their number is in the log too.",
    registers: [registry],
    collect() {
      this.reset();
      this.inc(lines.leftOut);
    },
  });
}
