import { homedir } from "node:os";
import { delimiter, join, resolve } from "node:path";

const environment = process.env;

/** Where tools are kept, built once per machine: ORDERMESH_CACHE, else XDG_CACHE_HOME/ordermesh, else ~/.cache/ordermesh. */
export const cacheDirectory = resolve(
  environment.ORDERMESH_CACHE || join(environment.XDG_CACHE_HOME || join(homedir(), ".cache"), "ordermesh"),
);

/** The folders of PATH, without this repository's node_modules: its `.bin` holds no tool named here. */
export const searchPath = (environment.PATH ?? "").split(delimiter).filter((folder) => folder !== "");

/** The environment that a build gets, with additions. */
export function buildEnvironment(additions: Record<string, string>): NodeJS.ProcessEnv {
  return { ...environment, ...additions };
}
