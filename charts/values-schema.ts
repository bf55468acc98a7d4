import type { Value } from "./values-comments.ts";

/** A schema in JSON. */
export type Schema = Readonly<Record<string, unknown>>;

/** The variables that `config` of a service may set, by the service's name. */
export type Variables = Readonly<Record<string, readonly string[]>>;

const typeNames: Readonly<Record<string, string>> = { string: "string", boolean: "boolean" };

function typeOf(value: unknown, path: readonly string[]): string {
  if (Array.isArray(value)) return "array";
  if (typeof value === "number") return Number.isInteger(value) ? "integer" : "number";
  if (value !== null && typeof value === "object") return "object";
  const name = typeNames[typeof value];
  if (!name) throw new Error(`${path.join(".")} has a default without a type`);
  return name;
}

/** A service inside the umbrella: its own chart closes it; here is known which variables its program reads. */
function serviceSchema({ description, keywords }: Value, variables: Variables): Schema {
  const names = variables[String(keywords.$service)];
  if (!names) throw new Error(`there is no service ${keywords.$service}`);
  const properties = Object.fromEntries(names.map((name) => [name, { type: ["string", "number", "boolean"] }]));
  const config = { type: "object", additionalProperties: false, properties };
  return { description, type: "object", properties: { config } };
}

function schemaOf(value: Value, variables: Variables): Schema {
  if (value.keywords.$service) return serviceSchema(value, variables);
  const type = typeOf(value.value, value.path);
  const known = { ...(value.description && { description: value.description }), type, ...value.keywords };
  if (type === "array" && !("items" in known)) throw new Error(`${value.path.join(".")}: say what its items are`);
  if (type !== "object") return { ...known, default: value.value };
  if (value.children.length === 0) {
    const isSaid = "additionalProperties" in value.keywords;
    if (!isSaid) throw new Error(`${value.path.join(".")}: say what it may hold`);
    return known;
  }
  return { additionalProperties: false, ...known, properties: propertiesOf(value.children, variables) };
}

function propertiesOf(values: readonly Value[], variables: Variables): Schema {
  return Object.fromEntries(values.map((value) => [value.path.at(-1) ?? "", schemaOf(value, variables)]));
}

/**
 * The closed schema of a chart: a key that values.yaml does not have is refused.
 * @throws Error that names a value whose comment says too little
 */
export function valuesSchema(chart: string, values: readonly Value[], variables: Variables): Schema {
  return {
    $schema: "http://json-schema.org/draft-07/schema#",
    title: `Values of the chart ${chart}`,
    type: "object",
    additionalProperties: false,
    properties: propertiesOf(values, variables),
  };
}

function leaves(values: readonly Value[]): Value[] {
  return values.flatMap((value) => {
    const whole = value.children.length === 0 || value.keywords.$service !== undefined;
    if (whole) return [value];
    return [...(value.description ? [value] : []), ...leaves(value.children)];
  });
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|");
}

/** The table of all values for the chart's README: key, default, meaning. */
export function valuesTable(values: readonly Value[]): string {
  const rows = leaves(values).map((value) => {
    const hasOwn = value.children.length > 0;
    const shown = hasOwn ? "" : `\`${cell(JSON.stringify(value.value))}\``;
    return `| \`${value.path.join(".")}\` | ${shown} | ${cell(value.description)} |`;
  });
  return ["| value | default | |", "|---|---|---|", ...rows].join("\n");
}
