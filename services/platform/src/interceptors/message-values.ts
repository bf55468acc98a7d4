import { type DescField, type DescMessage, type Message, ScalarType } from "@bufbuild/protobuf";
import type { Path } from "@bufbuild/protobuf/reflect";
import { DurationSchema, TimestampSchema } from "@bufbuild/protobuf/wkt";

/** Told each value that is looked for, the field that it is in, and the way there, which is only good while it is told. */
export type ValueVisitor<T> = (value: T, field: DescField, path: Readonly<Path>) => void;

/** A point in time or a length of it, as Protobuf has them. */
export interface Time {
  readonly seconds: bigint;
  readonly nanos: number;
}

interface Plan {
  /** Fields with what is looked for: one, a list, or a map. */
  readonly found: readonly DescField[];
  /** Fields with messages that hold such fields: one, a list, or a map. */
  readonly messages: readonly { readonly field: DescField; readonly plan: Plan }[];
}

/** Where values of one kind are in messages. */
class Kind {
  readonly #holds: (field: DescField) => boolean;
  /** Made once for each type. */
  readonly #plans = new Map<DescMessage, Plan>();

  constructor(holds: (field: DescField) => boolean) {
    this.#holds = holds;
  }

  planOf(schema: DescMessage): Plan {
    const known = this.#plans.get(schema);
    if (known) return known;
    const found: DescField[] = [];
    const messages: { field: DescField; plan: Plan }[] = [];
    const made = { found, messages };
    // Before its fields are: a type may contain itself.
    this.#plans.set(schema, made);
    for (const field of schema.fields) {
      if (this.#holds(field)) found.push(field);
      else if (field.message) {
        const plan = this.planOf(field.message);
        if (plan.found.length + plan.messages.length > 0) messages.push({ field, plan });
      }
    }
    return made;
  }
}

const texts = new Kind(
  (field) => field.scalar === ScalarType.STRING || (field.fieldKind === "map" && field.mapKey === ScalarType.STRING),
);
const timeTypes: ReadonlySet<string | undefined> = new Set([TimestampSchema.typeName, DurationSchema.typeName]);
const times = new Kind((field) => timeTypes.has(field.message?.typeName));

/** Goes through all texts of a message and of those in it. */
export function eachText(schema: DescMessage, message: Message, visitor: ValueVisitor<string>): void {
  const visit: ValueVisitor<unknown> = (value, field, path) => {
    if (typeof value === "string" && value !== "") visitor(value, field, path);
  };
  search(texts.planOf(schema), message, { path: [], visitor: visit });
}

/** Goes through all points in time and lengths of time of a message and of those in it. */
export function eachTime(schema: DescMessage, message: Message, visitor: ValueVisitor<Time>): void {
  const visit: ValueVisitor<unknown> = (value, field, path) => {
    if (typeof value === "object" && value !== null) visitor(value as Time, field, path);
  };
  search(times.planOf(schema), message, { path: [], visitor: visit });
}

interface Search {
  /** Where the search is. */
  readonly path: Path;
  readonly visitor: ValueVisitor<unknown>;
}

function search({ found, messages }: Plan, message: object, at: Search): void {
  for (const field of found) visit(field, fieldOf(field, message), at, (value) => at.visitor(value, field, at.path));
  for (const { field, plan } of messages) {
    visit(field, fieldOf(field, message), at, (inner) => {
      if (typeof inner === "object" && inner !== null) search(plan, inner, at);
    });
  }
}

function fieldOf(field: DescField, message: object): unknown {
  const values = message as Record<string, unknown>;
  if (!field.oneof) return values[field.localName];
  const chosen = values[field.oneof.localName] as { case?: string; value?: unknown };
  return chosen.case === field.localName ? chosen.value : undefined;
}

/** Looks at each value of a field. In a map the path ends at the map, because a key may be what must not be told. */
function visit(field: DescField, value: unknown, { path }: Search, look: (value: unknown) => void): void {
  path.push(field);
  if (field.fieldKind === "list") {
    (value as unknown[]).forEach((entry, index) => {
      path.push({ kind: "list_sub", index });
      look(entry);
      path.pop();
    });
  } else if (field.fieldKind === "map") {
    for (const entry of Object.entries(value as object).flat()) look(entry);
  } else look(value);
  path.pop();
}
