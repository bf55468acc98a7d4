// The messages and enums of the contract as JSON Schema, in the form in which Protobuf writes them in JSON.
import { type DescEnum, type DescField, type DescMessage, type DescOneof, ScalarType } from "@bufbuild/protobuf";
import { type Personal, personalWords } from "../personal.ts";
import type { Judge } from "./judge.ts";
import { type Constraint, described, isRequired, messageWords, type Rules, type Schema } from "./rules.ts";

/** A message or an enum. */
export type Type = DescMessage | DescEnum;

const unbound: Constraint = { schema: {}, words: [] };

/** Whole seconds of 10,000 years have twelve digits. */
const duration = { type: "string", pattern: "^-?[0-9]{1,12}(\\.[0-9]{1,9})?s$", examples: ["3600s"] };

/** The types of Google's that have a form of their own. */
const wellKnown: Readonly<Record<string, Schema>> = {
  "google.protobuf.Timestamp": { type: "string", format: "date-time", examples: ["2026-11-30T12:00:00Z"] },
  "google.protobuf.Duration": duration,
};

const scalars: Partial<Record<ScalarType, Schema>> = {
  [ScalarType.STRING]: { type: "string" },
  [ScalarType.BOOL]: { type: "boolean" },
  [ScalarType.INT32]: { type: "integer", format: "int32", minimum: -(2 ** 31), maximum: 2 ** 31 - 1 },
  [ScalarType.INT64]: { type: "string", format: "int64", pattern: "^-?(0|[1-9][0-9]{0,18})$" },
  [ScalarType.BYTES]: { type: "string", contentEncoding: "base64" },
};

function ofScalar(scalar: ScalarType | undefined, field: DescField): Schema {
  const schema = scalar && scalars[scalar];
  if (!schema) throw new Error(`${field} is of a type that dev/tools/openapi/schemas.ts does not know`);
  return schema;
}

function ref(key: string): Schema {
  return { $ref: `#/components/schemas/${key}` };
}

/** That at most one field of a oneof is there, or exactly one. */
function ofOneof(oneof: DescOneof): Schema {
  const each = oneof.fields.map(({ jsonName }) => ({ required: [jsonName] }));
  return { oneOf: isRequired(oneof) ? each : [...each, { not: { anyOf: each } }] };
}

/** A message of which a schema is made: as a part of requests, or of answers. */
type Side = "asked" | "answered";

/** What schemas are made with. */
export interface SchemasOptions {
  readonly rules: Rules;
  readonly judge: Judge;
  /** What stands in answers. */
  readonly answered: ReadonlySet<Type>;
  readonly personal: Personal;
}

/**
 * Makes the schemas of messages and enums. A request is read strictly, by rules that an answer need not obey: what was stored before
 * there was a rule is answered too. So a message that stands in both has two schemas.
 */
export class Schemas {
  readonly #rules: Rules;
  readonly #judge: Judge;
  readonly #made: Record<string, Schema> = {};
  /** Messages that stand in answers. */
  readonly #answered: ReadonlySet<Type>;
  readonly #personal: Personal;

  constructor(options: SchemasOptions) {
    this.#rules = options.rules;
    this.#judge = options.judge;
    this.#answered = options.answered;
    this.#personal = options.personal;
  }

  /** All that were asked for, and what they need, by their keys. */
  get all(): Readonly<Record<string, Schema>> {
    return Object.fromEntries(Object.entries(this.#made).sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  /** Points to the schema of a message, which is made when there is none. */
  refTo(message: DescMessage, side: Side): Schema {
    const special = wellKnown[message.typeName];
    if (special) return special;
    const both = side === "asked" && this.#answered.has(message);
    const key = both ? `${message.typeName}.Input` : message.typeName;
    if (!this.#made[key]) {
      this.#made[key] = {};
      this.#made[key] = side === "asked" ? this.#asked(message) : this.#properties(message, side);
    }
    return ref(key);
  }

  #properties(message: DescMessage, side: Side): Schema {
    const properties = Object.fromEntries(message.fields.map((field) => [field.jsonName, this.#ofField(field, side)]));
    const words = side === "asked" ? messageWords(message) : [];
    return {
      type: "object",
      description: described(message, words),
      ...(message.fields.length > 0 ? { properties } : {}),
    };
  }

  #asked(message: DescMessage): Schema {
    const required = this.#judge.requiredFields(message).map(({ jsonName }) => jsonName);
    return {
      ...this.#properties(message, "asked"),
      ...(required.length > 0 ? { required } : {}),
      ...(message.oneofs.length > 0 ? { allOf: message.oneofs.map(ofOneof) } : {}),
      additionalProperties: false,
    };
  }

  #ofField(field: DescField, side: Side): Schema {
    const [own, items] =
      side === "asked" ? [this.#rules.constraintOf(field), this.#rules.itemsOf(field)] : [unbound, unbound];
    const oneof = field.oneof ? [`One of \`${field.oneof.name}\`.`] : [];
    const about = personalWords(field, this.#personal);
    return {
      ...this.#typeOf(field, side, items.schema),
      ...own.schema,
      ...(about === "" ? {} : { "x-personal": about }),
      description: described(field, [...own.words, ...items.words, ...oneof]),
    };
  }

  #typeOf(field: DescField, side: Side, items: Schema): Schema {
    switch (field.fieldKind) {
      case "map":
        if (field.mapKind !== "scalar") throw new Error(`${field} is a map of more than texts and numbers`);
        return { type: "object", additionalProperties: ofScalar(field.scalar, field) };
      case "list":
        return { type: "array", items: { ...this.#one(field, side), ...items } };
      default:
        return this.#one(field, side);
    }
  }

  #one(field: DescField, side: Side): Schema {
    if (field.message) return this.refTo(field.message, side);
    if (field.enum) return this.#enum(field.enum);
    return ofScalar(field.scalar, field);
  }

  #enum(description: DescEnum): Schema {
    const meanings = description.values.map((value) => `- \`${value.name}\`: ${described(value, [])}`);
    this.#made[description.typeName] ??= {
      type: "string",
      enum: description.values.map(({ name }) => name),
      description: `${described(description, [])}\n\n${meanings.join("\n")}`,
    };
    return ref(description.typeName);
  }
}
