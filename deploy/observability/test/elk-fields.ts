import { readFileSync } from "node:fs";
import { join } from "node:path";

/** The folder of the log side. */
export const elk = join(import.meta.dirname, "../elk");

/** A mapping as Elasticsearch has it. */
interface Mapping {
  readonly type?: string;
  readonly dynamic?: boolean | "strict";
  readonly properties?: Readonly<Record<string, Mapping>>;
}

/** The text of a file of the log side. */
export function read(file: string): string {
  return readFileSync(join(elk, file), "utf8");
}

function flatten(mapping: Mapping, path: string): [string, string][] {
  return Object.entries(mapping.properties ?? {}).flatMap(([name, child]) => {
    const full = path === "" ? name : `${path}.${name}`;
    return child.type ? [[full, child.type] as [string, string]] : flatten(child, full);
  });
}

/** The mapping of one component template. */
export function mappingOf(part: "ecs" | "own"): Mapping {
  const { template } = JSON.parse(read(`setup/component-${part}.json`)) as { template: { mappings: Mapping } };
  return template.mappings;
}

/** Field names and types of one component template. */
export function fieldsOf(part: "ecs" | "own"): Map<string, string> {
  return new Map(flatten(mappingOf(part), ""));
}

/** All fields that can be searched. */
export function knownFields(): Map<string, string> {
  return new Map([...fieldsOf("ecs"), ...fieldsOf("own")]);
}

/** The fields that a KQL query names. */
export function fieldsOfQuery(kql: string): string[] {
  return [...kql.matchAll(/([@\w.]+)\s*(?::|[<>]=?)/g)].map((match) => match[1] ?? "");
}

/** Every value under any of some names, at any depth. */
export function valuesUnder(value: unknown, names: ReadonlySet<string>): unknown[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([name, child]) => [
    ...(names.has(name) ? [child] : []),
    ...valuesUnder(child, names),
  ]);
}
