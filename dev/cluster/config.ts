import { homedir } from "node:os";
import { join } from "node:path";

const environment = process.env;

/** The kubeconfig that a person uses here: KUBECONFIG, else ~/.kube/config. */
export const personalKubeconfig = environment.KUBECONFIG || join(homedir(), ".kube/config");

/** Our environment with additions, for helm and its likes. */
export function commandEnvironment(additions: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  return { ...environment, ...additions };
}

/** The folders where a person's commands are. */
export const commandPath = environment.PATH ?? "";
