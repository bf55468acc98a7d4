// Requests that no well-meaning caller sends, made from the descriptor of a request and one that is valid.
import {
  type DescField,
  type DescMessage,
  fromJson,
  type JsonValue,
  type Message,
  ScalarType,
  toBinary,
} from "@bufbuild/protobuf";
import { DurationSchema, TimestampSchema } from "@bufbuild/protobuf/wkt";
import { textRulesOf } from "./contract-fields.ts";

/** One wrong thing in a request. */
export interface Attack {
  /** Where and what: `lines[0].sku NUL`. */
  readonly what: string;
  /** The request as JSON, when JSON can say it. */
  readonly json?: string;
  /** The request as bytes, when bytes can say it. */
  readonly bytes?: Buffer;
  /** The field that has to be refused, as JSON spells it; undefined when the service may take the value. */
  readonly refused?: string;
}

type Path = readonly (string | number)[];
interface Spot {
  readonly path: Path;
  readonly field: DescField;
}

/** What stands in JSON for what cannot be said by a value. */
const mark = "@@here@@";
/** Three letters of a text, in whose place three bytes come that are no text. */
const letters = "~^~";
const noText = Buffer.from([0xed, 0xa0, 0x80]);
const sentinel = { json: '"2020-01-01T00:00:00Z"', seconds: 1_577_836_800n };
const sentinelLength = { json: '"12345s"', seconds: 12_345n };

interface Value {
  readonly name: string;
  /** As it stands in JSON. */
  readonly raw: string;
  readonly refused?: true;
}

const quoted = (text: string): string => JSON.stringify(text);

function textValues(field: DescField): Value[] {
  const { longest } = textRulesOf(field);
  return [
    { name: "empty", raw: '""' },
    { name: "NUL", raw: '"a\\u0000b"', refused: true },
    { name: "half of a character", raw: '"a\\ud83d"', refused: true },
    { name: "right to left", raw: quoted("\u202etxt.\u202c שלום مرحبا") },
    { name: "combining", raw: quoted(`Z${"\u0321\u0356\u030d".repeat(8)}`) },
    { name: "invisible", raw: quoted("\u200b   \ufeff") },
    { name: "quotes", raw: quoted("'; drop table orders; -- \\ %s {{y}}\r\n\t") },
    { name: "longest", raw: quoted("a".repeat(longest)) },
    { name: "too long by one", raw: quoted("\u{1f600}".repeat(longest + 1)) },
    { name: "far too long", raw: quoted("a".repeat(5_000)) },
    { name: "a number", raw: "1", refused: true },
  ];
}

const numberValues = (least: bigint, most: bigint): Value[] => [
  { name: "least", raw: `"${least}"` },
  { name: "below the least", raw: `"${least - 1n}"`, refused: true },
  { name: "most", raw: `"${most}"` },
  { name: "above the most", raw: `"${most + 1n}"`, refused: true },
  { name: "-1", raw: "-1" },
  { name: "0", raw: "0" },
  { name: "a fraction", raw: "1.5", refused: true },
  { name: "infinity", raw: "1e400", refused: true },
  { name: "words", raw: '"many"', refused: true },
];

const timeValues: Value[] = [
  { name: "first", raw: '"0001-01-01T00:00:00Z"' },
  { name: "last", raw: '"9999-12-31T23:59:59.999999999Z"' },
  { name: "after the last", raw: '"10000-01-01T00:00:00Z"', refused: true },
  { name: "no day", raw: '"2026-13-45T00:00:00Z"', refused: true },
  { name: "a number", raw: "1", refused: true },
];

const lengthValues: Value[] = [
  { name: "longest", raw: '"315576000000s"' },
  { name: "longest back", raw: '"-315576000000.999999999s"' },
  { name: "too long", raw: '"315576000001s"', refused: true },
  { name: "in minutes", raw: '"5m"', refused: true },
];

const enumValues: Value[] = [
  { name: "zero", raw: "0" },
  { name: "no number of it", raw: "9999" },
  { name: "a negative number", raw: "-1" },
  { name: "no name of it", raw: '"NO_SUCH_NAME"', refused: true },
];

const messageValues: Value[] = [
  { name: "a list", raw: "[]", refused: true },
  { name: "a text", raw: '""', refused: true },
  { name: "empty", raw: "{}" },
  { name: "nested deeply", raw: `${'{"a":'.repeat(5_000)}1${"}".repeat(5_000)}`, refused: true },
];

function valuesOf(field: DescField): Value[] {
  const type = field.message?.typeName;
  if (type === TimestampSchema.typeName) return timeValues;
  if (type === DurationSchema.typeName) return lengthValues;
  if (field.message) return messageValues;
  if (field.enum) return enumValues;
  switch (field.scalar) {
    case ScalarType.STRING:
      return textValues(field);
    case ScalarType.INT32:
      return numberValues(-(2n ** 31n), 2n ** 31n - 1n);
    case ScalarType.INT64:
      return numberValues(-(2n ** 63n), 2n ** 63n - 1n);
    default:
      return [{ name: "a text", raw: '"yes"', refused: true }];
  }
}

interface Within {
  readonly path: Path;
  readonly json: JsonValue | undefined;
  /** Types of messages within requests that need not be looked at again. */
  readonly seen: Set<string>;
}

/** Every field that a request of this type can have, through the first entry of each list. */
function spotsOf(schema: DescMessage, { path: within, json, seen }: Within): Spot[] {
  return schema.fields.flatMap((field) => {
    const path = [...within, field.jsonName];
    const value = at(json, [field.jsonName]);
    // Of fields that exclude each other only the one that is there.
    if (field.oneof && value === undefined) return [];
    if (field.fieldKind === "map") return [{ path, field }];
    const inner = field.fieldKind === "list" ? [...path, 0] : path;
    const entry = field.fieldKind === "list" ? at(value, [0]) : value;
    const whole = field.message && !field.message.typeName.startsWith("google.protobuf.") && entry !== undefined;
    const spot = { path: inner, field };
    if (!whole || !field.message || seen.has(field.message.typeName)) return [spot];
    seen.add(field.message.typeName);
    return [spot, ...spotsOf(field.message, { path: inner, json: entry, seen })];
  });
}

function at(json: JsonValue | undefined, path: Path): JsonValue | undefined {
  let value: unknown = json;
  for (const part of path) value = (value as Record<string | number, unknown> | undefined)?.[part];
  return value as JsonValue | undefined;
}

/** A copy with another value at a place; lists and objects on the way are made. */
function withValue(json: JsonValue, [first, ...rest]: Path, value: JsonValue): JsonValue {
  if (first === undefined) return value;
  const made = Array.isArray(json) ? [...json] : typeof json === "object" && json !== null ? { ...json } : {};
  const record = made as Record<string | number, JsonValue>;
  const empty = typeof rest[0] === "number" ? [] : {};
  record[first] = withValue(record[first] ?? empty, rest, value);
  return made;
}

function spell(path: Path): string {
  return path.reduce<string>((text, part) => {
    return typeof part === "number" ? `${text}[${part}]` : text ? `${text}.${part}` : part;
  }, "");
}

/** Makes what is wrong of a valid request. */
export class Attacks {
  readonly #schema: DescMessage;
  readonly #base: JsonValue;
  readonly #spots: readonly Spot[];

  /** @param seen types of messages that others hold as well; within the first of them their fields are attacked */
  constructor(schema: DescMessage, base: JsonValue, seen: Set<string>) {
    this.#schema = schema;
    this.#base = base;
    this.#spots = spotsOf(schema, { path: [], json: base, seen });
  }

  /** All of them, each with its own text for a request's id. */
  all(requestId: () => string): Attack[] {
    const spots = this.#spots;
    const objects = [[], ...spots.filter(({ field }) => this.#isObject(field)).map(({ path }) => path)];
    return [
      ...spots.flatMap((spot) => valuesOf(spot.field).map((value) => this.#valued(spot, value, requestId()))),
      ...spots.flatMap((spot) => this.#onlyInBytes(spot, requestId())),
      ...spots.filter(({ path }) => typeof path.at(-1) === "number").flatMap((spot) => this.#listed(spot, requestId)),
      ...objects.flatMap((path) => this.#keyed(path, requestId)),
    ];
  }

  #isObject({ message }: DescField): boolean {
    return message !== undefined && !message.typeName.startsWith("google.protobuf.");
  }

  /** The valid request with its own id, when it has one. */
  #with(requestId: string): JsonValue {
    const has = at(this.#base, ["requestId"]) !== undefined;
    return has ? withValue(this.#base, ["requestId"], requestId) : this.#base;
  }

  #bytesOf(json: string): Buffer | undefined {
    try {
      return Buffer.from(toBinary(this.#schema, fromJson(this.#schema, JSON.parse(json) as JsonValue)));
    } catch {
      return undefined;
    }
  }

  #valued({ path }: Spot, { name, raw, refused }: Value, requestId: string): Attack {
    const json = JSON.stringify(withValue(this.#with(requestId), path, mark)).replace(`"${mark}"`, () => raw);
    const what = `${spell(path)} ${name}`;
    const bytes = this.#bytesOf(json);
    return { what, json, ...(bytes && { bytes }), ...(refused && { refused: spell(path) }) };
  }

  /** What JSON cannot say: texts that are none, and times that are none. */
  #onlyInBytes({ path, field }: Spot, requestId: string): Attack[] {
    const place = spell(path);
    const json = (raw: string) =>
      JSON.stringify(withValue(this.#with(requestId), path, mark)).replace(`"${mark}"`, () => raw);
    if (field.scalar === ScalarType.STRING && field.fieldKind !== "map") {
      const bytes = this.#bytesOf(json(quoted(letters)));
      const found = bytes?.indexOf(letters) ?? -1;
      if (!bytes || found < 0) return [];
      noText.copy(bytes, found);
      return [{ what: `${place} bytes that are no text`, bytes, refused: "" }];
    }
    const type = field.message?.typeName;
    if (type !== TimestampSchema.typeName && type !== DurationSchema.typeName) return [];
    const { json: raw, seconds } = type === TimestampSchema.typeName ? sentinel : sentinelLength;
    return [9_000_000_000_000n, -9_000_000_000_000n, 2n ** 63n - 1n].flatMap((far) => {
      const message = fromJson(this.#schema, JSON.parse(json(raw)) as JsonValue);
      const time = timeIn(message, seconds);
      if (!time) return [];
      time.seconds = far;
      return [{ what: `${place} ${far} s`, bytes: Buffer.from(toBinary(this.#schema, message)), refused: place }];
    });
  }

  #listed({ path }: Spot, requestId: () => string): Attack[] {
    const list = path.slice(0, -1);
    const entry = at(this.#base, path) ?? null;
    const attack = (name: string, value: JsonValue, refused?: string): Attack => {
      const json = JSON.stringify(withValue(this.#with(requestId()), list, value));
      const bytes = this.#bytesOf(json);
      return {
        what: `${spell(list)} ${name}`,
        json,
        ...(bytes && { bytes }),
        ...(refused !== undefined && { refused }),
      };
    };
    return [
      attack("without entries", []),
      attack("with 257 entries", Array(257).fill(entry)),
      attack("an object", { "0": entry }, spell(list)),
      attack("with nothing in it", [null], spell(path)),
    ];
  }

  /** Keys that are not there, or twice. */
  #keyed(path: Path, requestId: () => string): Attack[] {
    const attack = (name: string, pairs: string, refused: string): Attack => {
      const json = JSON.stringify(withValue(this.#with(requestId()), [...path, mark], 0));
      return { what: `${spell(path)} ${name}`, json: json.replace(`"${mark}":0`, () => pairs), refused };
    };
    return [
      attack("an unknown key", '"noSuchKey":1', spell([...path, "noSuchKey"])),
      attack("a key of prototypes", '"__proto__":{"a":1}', spell([...path, "__proto__"])),
      attack("a key twice", '"x":1,"x":2', ""),
    ];
  }
}

/** The time somewhere in a message that says so many seconds. */
function timeIn(message: Message | object, seconds: bigint): { seconds: bigint } | undefined {
  if ("seconds" in message && message.seconds === seconds) return message as { seconds: bigint };
  for (const value of Object.values(message)) {
    const found = typeof value === "object" && value !== null ? timeIn(value, seconds) : undefined;
    if (found) return found;
  }
  return undefined;
}
