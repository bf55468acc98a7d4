// What the rules of the contract are as keywords of JSON Schema. What these cannot say is said in words.
import { type DescExtension, type DescField, type DescMessage, type DescOneof, getOption } from "@bufbuild/protobuf";
import {
  type FieldRules,
  field as fieldRules,
  Ignore,
  message as messageRules,
  oneof as oneofRules,
  predefined,
} from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import { commentOf } from "../comment.ts";

/** A schema, or a part of one. */
export type Schema = Readonly<Record<string, unknown>>;

/** What a rule comes to: keywords, and a sentence about what they leave open. */
export interface Constraint {
  readonly schema: Schema;
  readonly words: readonly string[];
}

/** The largest number of 64 bits. */
const maxLong = 2n ** 63n - 1n;

const nothing: Constraint = { schema: {}, words: [] };

function both(one: Constraint, other: Constraint): Constraint {
  return { schema: { ...one.schema, ...other.schema }, words: [...one.words, ...other.words] };
}

/** Texts as a person counts them may have many more code points, which is what `maxLength` counts: 32 bytes for each stand behind it. */
const bytesOfCharacter = 32;

/** Rules that are more than a pattern or a size. */
const special: Readonly<Record<string, (value: unknown) => Constraint>> = {
  request_id: () => ({ schema: { minLength: 1, maxLength: 128 }, words: ["It has something to see."] }),
  visible: () => ({ schema: { minLength: 1 }, words: ["It has something to see."] }),
  characters: (value) => ({
    schema: { maxLength: Number(value) * bytesOfCharacter },
    words: [`At most ${value} characters, as a person counts them.`],
  }),
};

/** The words of `^(EUR|USD)$`; undefined for any other pattern. */
function wordsOf(pattern: string): string[] | undefined {
  return /^\^\((\w+(?:\|\w+)*)\)\$$/.exec(pattern)?.[1]?.split("|");
}

/** The size of what `this` is: which keywords count it. */
const sizes = { string: ["minLength", "maxLength"], repeated: ["minItems", "maxItems"] } as const;

/** Reads a rule of ours, which is CEL of a few forms. @throws Error for another form: whoever writes it says here what it is in a schema */
function fromCel(rule: DescExtension, expression: string): Constraint {
  const patterns = [...expression.matchAll(/this\.matches\('(.*?)'\)/g)].map(([, pattern = ""]) => pattern);
  const words = patterns.map(wordsOf);
  if (words.length > 0 && words.every((each) => each !== undefined)) {
    return { schema: { enum: words.flat().sort() }, words: [] };
  }
  if (patterns.length === 1) return { schema: { pattern: patterns[0] }, words: [] };
  const ofList = rule.extendee.name === "RepeatedRules";
  const [least, most] = expression.includes("size()")
    ? sizes[ofList ? "repeated" : "string"]
    : (["minimum", "maximum"] as const);
  const bounds = [...expression.matchAll(/this(?:\.size\(\))? (>=|<=) (\d+)/g)];
  if (bounds.length === 0) throw new Error(`${rule.typeName} is of no form that dev/tools/openapi/rules.ts knows`);
  return {
    schema: Object.fromEntries(bounds.map(([, sign, n]) => [sign === ">=" ? least : most, Number(n)])),
    words: [],
  };
}

/** How many bytes of a varint are a bool or an int32 that a rule is set to. */
function varintOf(data: Uint8Array): number {
  return data.reduce((sum, byte, index) => sum + (byte & 0x7f) * 2 ** (7 * index), 0);
}

/** The rules that the contract has predefined, of all packages. */
export class Rules {
  readonly #predefined: readonly DescExtension[];

  constructor(rules: readonly DescExtension[]) {
    this.#predefined = rules;
  }

  /** What the predefined rules of a field are called. */
  namesOf(rules: FieldRules): string[] {
    return this.#given(rules).map(([rule]) => rule.name);
  }

  #given({ type }: FieldRules): [rule: DescExtension, value: number][] {
    return (type.value?.$unknown ?? []).flatMap(({ no, data }) => {
      const rule = this.#predefined.find(
        ({ extendee, number }) => extendee.typeName === type.value?.$typeName && number === no,
      );
      return rule ? [[rule, varintOf(data)] as [DescExtension, number]] : [];
    });
  }

  /** What all rules of a field come to; those of a list's entries stand in `items`. */
  constraintOf(field: DescField): Constraint {
    return this.#ofRules(getOption(field, fieldRules), field);
  }

  /** What the rules of a list's entries come to. */
  itemsOf(field: DescField): Constraint {
    const { type } = getOption(field, fieldRules);
    const items = type.case === "repeated" ? type.value.items : undefined;
    return items && items.ignore !== Ignore.ALWAYS ? this.#ofRules(items, field) : nothing;
  }

  #ofRules(rules: FieldRules, field: DescField): Constraint {
    const ours = this.#given(rules).map(([rule, value]) => {
      const [cel] = getOption(rule, predefined).cel;
      return special[rule.name]?.(value) ?? fromCel(rule, cel?.expression ?? "");
    });
    const told: Constraint = { schema: {}, words: rules.cel.map(({ message }) => sentence(message)) };
    const all = [standard(rules, field), ...ours, told].reduce(both, nothing);
    return rules.ignore === Ignore.IF_ZERO_VALUE ? orEmpty(all) : all;
  }
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

/** A text may be empty, whatever it must be otherwise. */
function orEmpty({ schema, words }: Constraint): Constraint {
  const { minLength: _, pattern, enum: known, ...rest } = schema;
  const relaxed = {
    ...rest,
    ...(pattern === undefined ? {} : { pattern: `^$|${pattern}` }),
    ...(known === undefined ? {} : { enum: ["", ...(known as string[])] }),
  };
  return { schema: relaxed, words };
}

/** Protovalidate's own rules. */
function standard({ type }: FieldRules, field: DescField): Constraint {
  switch (type.case) {
    case "string":
      return { schema: ofString(type.value), words: [] };
    case "int32":
      return { schema: ofNumber(type.value), words: [] };
    case "int64":
      return ofLong(type.value);
    case "repeated":
      return { schema: bounds({ minItems: type.value.minItems, maxItems: type.value.maxItems }), words: [] };
    case "bool":
      return { schema: type.value.const === undefined ? {} : { const: type.value.const }, words: [] };
    case "enum":
      return { schema: withoutNames(field, type.value.notIn), words: [] };
    case "duration":
      return ofDuration(type.value);
    case undefined:
      return nothing;
    default:
      throw new Error(`rules for ${type.case} are nothing that dev/tools/openapi/rules.ts knows`);
  }
}

function withoutNames({ enum: known }: DescField, numbers: readonly number[]): Schema {
  return numbers.length > 0 ? { not: { enum: numbers.map((number) => known?.value[number]?.name) } } : {};
}

type RulesOf<K extends FieldRules["type"]["case"]> = Extract<FieldRules["type"], { case: K }>["value"];

function bounds(given: Record<string, bigint | number | undefined>): Schema {
  const set = Object.entries(given).filter(([, value]) => value !== undefined && Number(value) > 0);
  return Object.fromEntries(set.map(([name, value]) => [name, Number(value)]));
}

function ofString({ minLen, maxLen, maxBytes, pattern, wellKnown }: NonNullable<RulesOf<"string">>): Schema {
  return {
    // A character has a byte at least.
    ...bounds({ minLength: minLen, maxLength: maxLen || maxBytes }),
    ...(pattern ? { pattern } : {}),
    ...(wellKnown.case === "email" ? { format: "email" } : {}),
  };
}

function ofNumber({ greaterThan, lessThan }: NonNullable<RulesOf<"int32">>): Schema {
  const names = { gte: "minimum", gt: "exclusiveMinimum", lte: "maximum", lt: "exclusiveMaximum" } as const;
  const given = [greaterThan, lessThan].flatMap(({ case: name, value }) => (name ? [[names[name], value]] : []));
  return Object.fromEntries(given);
}

/** A whole number of 64 bits is a text in JSON, so its bounds are told, and how many digits it has at most. */
function ofLong({ greaterThan, lessThan, notIn }: NonNullable<RulesOf<"int64">>): Constraint {
  const [low, high] = [greaterThan.value ?? -maxLong, lessThan.value ?? maxLong];
  const positive = `[1-9][0-9]{0,${String(high).length - 1}}`;
  const zero = low > 0n || notIn.includes(0n) ? "" : "|0";
  const pattern = `^(${low < 0n ? "-?" : ""}${positive}${zero})$`;
  const least = greaterThan.value === undefined ? [] : [`Not less than ${low}.`];
  const most = lessThan.value === undefined ? [] : [`Not more than ${high}.`];
  return { schema: { pattern }, words: [...least, ...most] };
}

function ofDuration({ greaterThan, lessThan }: NonNullable<RulesOf<"duration">>): Constraint {
  const told = [
    ...(greaterThan.value ? [`Not less than ${greaterThan.value.seconds} s.`] : []),
    ...(lessThan.value ? [`Not more than ${lessThan.value.seconds} s.`] : []),
  ];
  return { schema: {}, words: told };
}

/** Whether one field of a oneof has to be there. */
export function isRequired(oneof: DescOneof): boolean {
  return getOption(oneof, oneofRules).required;
}

/** What a message says of its fields together. */
export function messageWords(message: DescMessage): string[] {
  return getOption(message, messageRules).cel.map(({ message: text }) => sentence(text));
}

/** A comment and what a schema cannot say. */
export function described(desc: Parameters<typeof commentOf>[0], words: readonly string[]): string {
  return [commentOf(desc), words.join(" ")].filter((part) => part !== "").join(" ");
}
