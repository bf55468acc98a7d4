import { type DescField, type DescMessage, type Message, ScalarType } from "@bufbuild/protobuf";
import type { Path } from "@bufbuild/protobuf/reflect";
import { holdsCardNumber } from "#platform/redact/redact-text.ts";

/**
 * Fields that hold numbers of others, of which one in ten passes for a card's by chance: a request id of sixteen digits, an
 * article's GTIN, a place's GLN, a parcel's number, a telephone. No pattern can tell them apart, so they are not looked
 * at. Every field of another name is; see docs/decisions/0017-card-numbers.md.
 */
const numbersOfOthers = new Set([
  ...["request_id", "page_token", "phone", "sku", "location_id", "tracking_number", "event_id"],
  // `ship:<location>` of a saga, `<sku>@<location>` of the audit log.
  ...["step", "subject"],
]);

/** Whether a field may hold what looks like a card number. */
export function mayLookLikeCard(field: DescField): boolean {
  return numbersOfOthers.has(field.name);
}

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
    if (hasText(field) && !mayLookLikeCard(field)) texts.push(field);
    if (!field.message) continue;
    const plan = planOf(field.message);
    if (plan.texts.length + plan.messages.length > 0) messages.push({ field, plan });
  }
  return made;
}

function hasText(field: DescField): boolean {
  return field.scalar === ScalarType.STRING || (field.fieldKind === "map" && field.mapKey === ScalarType.STRING);
}

/** The fields in which the number of a payment card is written, however it is separated. */
export function cardNumbersIn(schema: DescMessage, message: Message): Path[] {
  const found: Path[] = [];
  search(planOf(schema), message, { path: [], found });
  return found;
}

interface Search {
  /** Where the search is. */
  readonly path: Path;
  readonly found: Path[];
}

function search({ texts, messages }: Plan, message: object, at: Search): void {
  for (const field of texts) {
    visit(field, fieldOf(field, message), at, (text) => {
      if (typeof text === "string" && holdsCardNumber(text)) at.found.push([...at.path]);
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
