// What it costs that Temporal keeps ciphertext: CPU per order from its arrival to its delivery, encrypted against plain.
import { takeTurns } from "./turns.ts";

const side = (name: "encrypted" | "plain") => ({ name, environment: { worker: { TEMPORAL_PAYLOADS: name } } });

/** @param args as `takeTurns` has them */
export function bench(args: readonly string[]): Promise<void> {
  return takeTurns({ side: side("encrypted"), against: side("plain"), process: "worker" }, args);
}
