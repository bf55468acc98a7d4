// What the benches read from the command line.
import { availableParallelism, cpus } from "node:os";
import { type TemporalKind, temporalKinds } from "../dev/stack/layout.ts";

/** The option of the benches that start a stack: what Temporal runs as. */
export const temporalOption = { temporal: { type: "string", default: "dev" } } as const;

/** @throws Error that names what there is */
export function temporalKind(value: string): TemporalKind {
  const kind = temporalKinds.find((name) => name === value);
  if (!kind) throw new Error(`--temporal wants ${temporalKinds.join(" or ")}, and not ${value}`);
  return kind;
}

/** @throws Error that names the option when it is no number above 0 */
export function positive(name: string, value: string): number {
  const number = Number(value);
  if (!(number > 0)) throw new Error(`--${name} wants a number above 0, and not ${value}`);
  return number;
}

/** Numbers with commas between, the smallest first. @throws Error that names the option */
export function positives(name: string, value: string): readonly number[] {
  return value
    .split(",")
    .map((part) => positive(name, part))
    .toSorted((a, b) => a - b);
}

/** Some of what there is, with commas between. @throws Error that names the option and what there is */
export function some<Name extends string>(name: string, value: string, known: readonly Name[]): readonly Name[] {
  return value.split(",").map((part) => {
    const found = known.find((one) => one === part);
    if (!found) throw new Error(`--${name} wants some of ${known.join(",")}, and not ${part}`);
    return found;
  });
}

/** Says on what is measured. */
export function sayMachine(temporal: TemporalKind): void {
  const machine = `${availableParallelism()} cores, ${cpus()[0]?.model ?? "unknown"}, node ${process.version}`;
  const state = temporal === "dev" ? "its development server" : "its server with its state in PostgreSQL";
  console.log(`${machine}; Temporal is ${state}`);
}

/** Says what goes on: the results are on the other stream. */
export function progress(what: string): void {
  console.error(`  · ${process.uptime().toFixed(0)} s: ${what}`);
}
