// Whether the maps of what standards want are whole, and what they name is there. `npm run check` fails with what is said here.
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { z } from "zod";
import type { Standard } from "./requirement-ids.ts";

/** How far a requirement is met. */
export const statuses = ["met", "partly", "open", "not applicable"] as const;

const texts = z.union([
  z
    .string()
    .min(1)
    .transform((text) => [text]),
  z.array(z.string().min(1)).min(1),
]);

const requirement = z.strictObject({
  /** Requirements that are met, or not, by the same. */
  ids: z.array(z.string()).min(1),
  /** What is wanted, in our own words. */
  about: z.string().min(1),
  status: z.enum(statuses),
  /** By path: tests by their names, pages by their headings, everything else by a text that is in it. */
  evidence: z.record(z.string(), texts).default({}),
  /** What is missing, or why it is none of ours; of what is met, a remark. */
  why: z.string().min(10).optional(),
});

const map = z.strictObject({
  standard: z.string(),
  chapters: z.array(z.strictObject({ id: z.string(), name: z.string(), requirements: z.array(requirement) })),
});

export type Requirement = z.infer<typeof requirement>;
export type RequirementMap = z.infer<typeof map>;

/** Where the map of a standard is, from the root. */
export function fileOf({ name }: Pick<Standard, "name">): string {
  return `docs/requirements/${name}.yaml`;
}

/** The map in a text. @throws Error that says what is no part of one, and where */
export function toMap(text: string): RequirementMap {
  const { data, error } = map.safeParse(parse(text));
  if (error) throw new Error(z.prettifyError(error));
  return data;
}

/** The map of a standard in a checkout. @throws Error that names the file, when it is none */
export function readMap(root: string, standard: Standard): RequirementMap {
  const path = fileOf(standard);
  try {
    return toMap(readFileSync(join(root, path), "utf8"));
  } catch (cause) {
    throw new Error(`${path}: ${(cause as Error).message}`, { cause });
  }
}

/** What a command judges by itself: what is named there is seen at each `npm run check`, in the gate, or by the forge. */
const judges =
  /^(?:biome\.json|tsconfig\.json|dev\/(?:supply|structure|commands)\/[\w-]+\.ts|\.github\/workflows\/[\w.-]+)$/;

/** Whether it is run: a test, or what a command judges by. */
export function isRun(path: string): boolean {
  return /(?:\.test\.ts|_test\.yaml)$/.test(path) || judges.test(path);
}

/** What of a file can be named, where that is bounded: headings of a page, names in a test as they are in its source. */
function namesIn(path: string, content: string): string[] | undefined {
  const names = path.endsWith(".md")
    ? /^#+ (?<name>.+)$/gm
    : /\b(?:test|it|describe)\(\s*(?<quote>["'`])(?<name>(?:(?!\k<quote>).)+)\k<quote>/g;
  if (!/\.(?:md|test\.ts)$/.test(path)) return undefined;
  return [...content.matchAll(names)].map(({ groups }) => groups?.name ?? "");
}

/** Whether a file has what is said of it: a test of that name, a heading, or a text. */
function has(path: string, content: string, named: string): boolean {
  return namesIn(path, content)?.includes(named) ?? content.includes(named);
}

function evidenceFaults(root: string, { ids, evidence }: Requirement): string[] {
  return Object.entries(evidence).flatMap(([path, all]) => {
    const file = join(root, path);
    if (!existsSync(file) || !statSync(file).isFile()) return [`${ids[0]}: there is no file ${path}`];
    const content = readFileSync(file, "utf8");
    return all.filter((named) => !has(path, content, named)).map((named) => `${ids[0]}: ${path} has no "${named}"`);
  });
}

function statusFaults({ ids, status, evidence, why }: Requirement): string[] {
  const faults: string[] = [];
  const paths = Object.keys(evidence);
  const isThere = status === "met" || status === "partly";
  if (isThere && paths.length === 0) faults.push("names nothing where that is seen");
  if (!isThere && paths.length > 0) faults.push(`names where it is seen, and is said to be ${status}`);
  if (status === "met" && paths.length > 0 && !paths.some((path) => isRun(path) || path.endsWith(".md"))) {
    faults.push("names neither a test nor a page");
  }
  if (status !== "met" && why === undefined) faults.push(`does not say why it is ${status}`);
  return faults.map((fault) => `${ids[0]}: ${fault}`);
}

/** What is wrong with the map of a standard, a sentence each. */
export function mapFaults(root: string, { levels }: Standard, { chapters }: RequirementMap): string[] {
  const seen = new Set<string>();
  const faults: string[] = [];
  for (const { id: chapter, requirements } of chapters) {
    for (const id of requirements.flatMap(({ ids }) => ids)) {
      if (!levels.has(id)) faults.push(`${id}: the standard has no such requirement`);
      if (!id.startsWith(`${chapter}.`)) faults.push(`${id}: stands in chapter ${chapter}`);
      if (seen.has(id)) faults.push(`${id}: is there twice`);
      seen.add(id);
    }
    faults.push(...requirements.flatMap((one) => [...statusFaults(one), ...evidenceFaults(root, one)]));
  }
  return [...faults, ...[...levels.keys()].filter((id) => !seen.has(id)).map((id) => `${id}: is missing`)];
}
