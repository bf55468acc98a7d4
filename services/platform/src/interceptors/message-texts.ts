import { type DescField, type DescMessage, type Message, ScalarType } from "@bufbuild/protobuf";
import type { Path } from "@bufbuild/protobuf/reflect";

/** Told each text of a message, the field that it is in, and the way there, which is only good while it is told. */
export type TextVisitor = (text: string, field: DescField, path: Readonly<Path>) => void;

interface Plan {
  /** Fields with text: one, a list, or a map. */
  readonly texts: readonly DescField[];
  /** Fields with messages: one, a list, or a map. */
  readonly messages: readonly { readonly field: DescField; readonly plan: Plan }[];
}

const plans = new Map<DescMessage, Plan>();

/** Made once for each type; what holds no text anywhere is not in it. */
function planOf(schema: DescMessage): Plan {
  const known = plans.get(schema);
  if (known) return known;
  const texts: DescField[] = [];
  const messages: { field: DescField; plan: Plan }[] = [];
  const made = { texts, messages };
  // Before its fields are: a type may contain itself.
  plans.set(schema, made);
  for (const field of schema.fields) {
    if (hasText(field)) texts.push(field);
    if (!field.message) continue;
    const plan = planOf(field.message);
    if (plan.texts.length + plan.messages.length > 0) messages.push({ field, plan });
  }
  return made;
}

function hasText(field: DescField): boolean {
  return field.scalar === ScalarType.STRING || (field.fieldKind === "map" && field.mapKey === ScalarType.STRING);
}

/** Goes through all texts of a message and of those in it. */
export function eachText(schema: DescMessage, message: Message, visitor: TextVisitor): void {
  search(planOf(schema), message, { path: [], visitor });
}

interface Search {
  /** Where the search is. */
  readonly path: Path;
  readonly visitor: TextVisitor;
}

function search({ texts, messages }: Plan, message: object, at: Search): void {
  for (const field of texts) {
    visit(field, fieldOf(field, message), at, (text) => {
      if (typeof text === "string" && text !== "") at.visitor(text, field, at.path);
    });
  }
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
