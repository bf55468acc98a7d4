import { join } from "node:path";
import type { Step } from "./steps.ts";

/** A program and its arguments. */
export type Command = readonly [program: string, ...args: string[]];

/** The commands of a step that are known beforehand: those of secrets depend on which are there already. */
export function commandsOf(step: Step, context: string): Command[] {
  if (step.kind === "chart") {
    const source = ["--repo", step.repository, "--version", step.version];
    const place = ["--kube-context", context, "--namespace", step.namespace, "--create-namespace"];
    const values = join("deploy/infrastructure/values", `${step.name}.yaml`);
    // A release that did not come up is taken back, so that the script can simply be run again.
    const manner = ["--values", values, "--atomic", "--wait", "--timeout", "10m"];
    return [["helm", "upgrade", "--install", step.name, step.chart, ...source, ...place, ...manner]];
  }
  if (step.kind !== "resources") return [];
  const cluster = ["--context", context, ...(step.namespace ? ["--namespace", step.namespace] : [])];
  // On the server's side: some of the kinds are larger than what kubectl could remember in an annotation.
  const apply = ["apply", "--server-side", step.kustomize ? "--kustomize" : "--filename", step.path];
  const wait: Command[] = step.wait ? [["kubectl", ...cluster, "wait", ...step.wait]] : [];
  return [["kubectl", ...cluster, ...apply], ...wait];
}
