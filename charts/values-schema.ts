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

/**
 * A service inside the umbrella: its own chart closes it; here is known which variables its program reads, which program that is,
 * and that the others cannot do without it, unless its own values say whether it is there.
 */
function serviceSchema({ description, keywords, children }: Value, variables: Variables): Schema {
  const service = String(keywords.$service);
  const names = variables[service];
  if (!names) throw new Error(`there is no service ${service}`);
  const properties = Object.fromEntries(names.map((name) => [name, { type: ["string", "number", "boolean"] }]));
  const config = { type: "object", additionalProperties: false, properties };
  const isOptional = children.some((value) => nameOf(value) === "enabled");
  const enabled = isOptional ? { type: "boolean" } : { const: true };
  const fixed = { enabled, program: { enum: ["", service] } };
  return { description, type: "object", properties: { ...fixed, config } };
}

/** Shorter names are too near to others to be told from a slip of the hand. */
const shortestGuessed = 5;

/** What somebody types who means this name: another case, or one letter too few, too many, wrong, or in its neighbour's place. */
function slipsOf(name: string): string[] {
  const letters = [...name];
  const around = (at: number, middle: string, behind = at + 1) => name.slice(0, at) + middle + name.slice(behind);
  const swapped = letters.flatMap((letter, at) => {
    const next = letters[at + 1];
    return next === undefined || next === letter ? [] : [around(at, next + letter, at + 2)];
  });
  const words = name.split(/(?=[A-Z])/).map((word) => word.toLowerCase());
  const cases = [
    words.join(""),
    words.join("_"),
    words.join("-"),
    name.toUpperCase(),
    around(0, name.charAt(0).toUpperCase()),
  ];
  const written = [...swapped, ...cases].filter((slip) => slip !== name);
  if (letters.length < shortestGuessed) return written;
  const last = letters.length - 1;
  const changed = letters.map((letter, at) => around(at, `[^${letter}]`));
  // One of a thing or many of it: that is more often another chart's name than a slip.
  const missing = letters.flatMap((letter, at) => (at === last && letter === "s" ? [] : [around(at, "")]));
  const added = letters.map((_, at) => around(at, ".", at));
  return [...written, ...missing, ...changed, ...added, `${name}[^s]`];
}

/** What charts share: the names of others are welcome, but for those that must be meant for ours. */
function sharedKeywords(names: readonly string[]): Schema {
  // No validator has words of ours to say, except for what it would have taken.
  const entries = names.map((name) => [`^(${slipsOf(name).join("|")})$`, { const: `nothing: ${name} is meant` }]);
  return { additionalProperties: true, patternProperties: Object.fromEntries(entries) };
}

function schemaOf(value: Value, variables: Variables): Schema {
  if (value.keywords.$service) return serviceSchema(value, variables);
  const type = typeOf(value.value, value.path);
  const known: Schema = { ...(value.description && { description: value.description }), type, ...value.keywords };
  if (type === "array" && !("items" in known)) throw new Error(`${value.path.join(".")}: say what its items are`);
  if (type !== "object") return { ...known, default: value.value };
  if (value.children.length === 0) {
    const isSaid = "additionalProperties" in value.keywords;
    if (!isSaid) throw new Error(`${value.path.join(".")}: say what it may hold`);
    return known;
  }
  const { $shared, ...said } = known;
  const openness = $shared ? sharedKeywords(value.children.map(nameOf)) : { additionalProperties: false };
  return { ...openness, ...said, properties: propertiesOf(value.children, variables) };
}

function nameOf({ path }: Value): string {
  return path.at(-1) ?? "";
}

function propertiesOf(values: readonly Value[], variables: Variables): Schema {
  return Object.fromEntries(values.map((value) => [nameOf(value), schemaOf(value, variables)]));
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
