// What people read of the maps: a page of each standard, and how many requirements are met. `npm run generate` writes both.
import { readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { type Standard, standards } from "./requirement-ids.ts";
import { fileOf, isRun, mapFaults, type Requirement, type RequirementMap, readMap, statuses } from "./requirements.ts";

const readme = "docs/requirements/README.md";

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`);
  return lines.join("\n");
}

/** A text in a cell of a table, as it is. */
function cell(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("<", "&lt;").replaceAll("\n", " ");
}

/** Files of one name are told apart by their folder. */
function evidenceOf([path, named]: [string, readonly string[]]): string {
  const isPage = path.endsWith(".md");
  const places = named.map((one) => (isPage ? one : `\`${one}\``)).join("; ");
  return `[${basename(path)}](../../${path}): ${cell(places)}`;
}

function row({ levels }: Standard, { ids, about, status, evidence, why }: Requirement): string[] {
  const numbers = ids.map((id) => (levels.get(id) ? `${id} (${levels.get(id)})` : id)).join(", ");
  const seen = [...Object.entries(evidence).map(evidenceOf), ...(why === undefined ? [] : [cell(why)])];
  return [numbers, cell(about), status === "met" ? "met" : `**${status}**`, seen.join("<br>")];
}

/** The page of a standard. */
function pageOf(standard: Standard, { standard: title, chapters }: RequirementMap): string {
  const parts = chapters.map(({ id, name, requirements }) => {
    const rows = requirements.map((requirement) => row(standard, requirement));
    return `## ${id} ${name}\n\n${table(["requirement", "in our words", "status", "where it is seen, what is missing, or why"], rows)}\n`;
  });
  const origin = `Made of [${basename(fileOf(standard))}](${basename(fileOf(standard))}) by \`npm run generate\`; [how to read it](README.md).`;
  return `# ${title}\n\n${origin}\n\n${parts.join("\n")}`;
}

/** How many requirements have each status, all together first. */
function counts(requirements: readonly Requirement[]): string[] {
  const sum = (some: readonly Requirement[]) => some.reduce((total, { ids }) => total + ids.length, 0);
  return [requirements, ...statuses.map((name) => requirements.filter(({ status }) => status === name))].map((some) =>
    String(sum(some)),
  );
}

function countsOf({ name }: Standard, { standard, chapters }: RequirementMap): string {
  const all = chapters.flatMap(({ requirements }) => requirements);
  const isSeen = ({ status, evidence }: Requirement) => status === "met" && Object.keys(evidence).some(isRun);
  const [seen = "0"] = counts(all.filter(isSeen));
  const rows = chapters.map((chapter) => [`${chapter.id} ${chapter.name}`, ...counts(chapter.requirements)]);
  const head = [`[${standard}](${name}.md)`, "requirements", ...statuses];
  const sentence = `Of those that are met, ${seen} are seen by a test or a check; for the others a page is what is wanted.`;
  const open = all.filter(({ status }) => status === "open").map(({ ids, about }) => `${about} (${ids.join(", ")})`);
  return `${table(head, [...rows, ["**all**", ...counts(all)]])}\n\n${sentence}\n\nOpen: ${open.join("; ")}.`;
}

function withCounts(page: string, tables: string): string {
  const place = /(<!-- counts -->\n)[\s\S]*?(<!-- end of counts -->)/;
  if (!place.test(page)) throw new Error(`${readme} has no place for the counts`);
  return page.replace(place, (_, begin: string, end: string) => `${begin}\n${tables}\n\n${end}`);
}

/** By path, what is made of the maps in a checkout. */
function pages(root: string): Map<string, string> {
  const read = (path: string) => readFileSync(join(root, path), "utf8");
  const maps = standards.map((standard) => [standard, readMap(root, standard)] as const);
  const tables = maps.map(([standard, map]) => countsOf(standard, map)).join("\n\n");
  return new Map([
    ...maps.map(([standard, map]) => [fileOf(standard).replace(".yaml", ".md"), pageOf(standard, map)] as const),
    [readme, withCounts(read(readme), tables)],
  ]);
}

/** Writes the pages anew. */
export function writeRequirementPages(root: string): void {
  for (const [path, text] of pages(root)) writeFileSync(join(root, path), text);
}

/** What is wrong with the maps and their pages in a checkout, a sentence each. */
export function requirementFaults(root: string): string[] {
  const read = (path: string) => readFileSync(join(root, path), "utf8");
  const wrong = standards.flatMap((standard) => {
    const faults = mapFaults(root, standard, readMap(root, standard));
    return faults.map((fault) => `${fileOf(standard)}: ${fault}`);
  });
  const old = [...pages(root)].filter(([path, text]) => read(path) !== text);
  return [...wrong, ...old.map(([path]) => `${path} is not what is made of the maps: run \`npm run generate\``)];
}
