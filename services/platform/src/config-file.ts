// biome-ignore lint/plugin/files: the file of settings
import { readFileSync } from "node:fs";
import { parse, YAMLParseError } from "yaml";
import type { z } from "zod";
import { isSecret } from "./secret.ts";

/** What a file of settings says, as variables would say it, and what keeps it from being used. */
export interface ConfigFile {
  readonly texts: Readonly<Record<string, string>>;
  readonly problems: readonly string[];
}

const secretFile = /_FILE$/;

/** A setting as a variable has it: lists of words with commas between, whatever else has parts as JSON. */
function textOf(value: unknown): string {
  if (Array.isArray(value) && value.every((entry) => typeof entry !== "object")) return value.join(",");
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

function problemOf(name: string, shape: z.ZodRawShape): string | undefined {
  const own = shape[name];
  if (own) return isSecret(own) ? `is secret: it belongs into a file of its own, which ${name}_FILE names` : undefined;
  const owner = secretFile.test(name) ? shape[name.replace(secretFile, "")] : undefined;
  if (owner && isSecret(owner)) return undefined;
  return "is no setting of this process";
}

function read(file: string): unknown {
  try {
    return parse(readFileSync(file, "utf8")) ?? {};
  } catch (error) {
    if (error instanceof YAMLParseError) throw new Error(`is no YAML: ${error.message.split("\n")[0]}`);
    const { code } = error as NodeJS.ErrnoException;
    throw new Error(code === undefined ? (error as Error).message : `cannot be read (${code})`);
  }
}

/**
 * Reads a file of settings: YAML, a map of the same names that variables have. What has several values may be a list, and what is JSON in
 * a variable is written as it is. Secrets are not for it, the names of their files are.
 *
 * @param shape the settings that the process knows
 */
export function readConfigFile(file: string, shape: z.ZodRawShape): ConfigFile {
  const refused = (why: string) => ({ texts: {}, problems: [`  CONFIG_FILE: the file ${file} ${why}`] });
  let said: unknown;
  try {
    said = read(file);
  } catch (error) {
    return refused((error as Error).message);
  }
  if (typeof said !== "object" || said === null || Array.isArray(said)) return refused("is no map of settings");
  const entries = Object.entries(said).filter(([, value]) => value !== null);
  const problems = entries.flatMap(([name]) => {
    const problem = name === "CONFIG_FILE" ? "cannot name another one" : problemOf(name, shape);
    return problem === undefined ? [] : [`  ${name} in ${file}: ${problem}`];
  });
  return { texts: Object.fromEntries(entries.map(([name, value]) => [name, textOf(value)])), problems };
}
