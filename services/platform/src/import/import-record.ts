import { type DescMessage, fromJson, type JsonValue, type Message, type MessageShape } from "@bufbuild/protobuf";
import { contractValidator, violationsOf } from "#platform/interceptors/validation.ts";
import type { RecordLine } from "./record-lines.ts";

/** What a line may hold, and which service takes it. The names are the keys of the lines: `{"order": {…}}`. */
export const recordKinds = { customer: "orders", order: "orders", payment: "payments", stock: "inventory" } as const;

/** What a line holds. */
export type RecordKind = keyof typeof recordKinds;

/** Why a line is not imported. Nothing in it says anything of a person. */
export interface Refusal {
  /** Upper snake case. */
  readonly reason: string;
  /** What is wrong, and what to do. */
  readonly message: string;
  /** The way to what is wrong, as JSON names it; empty when it is the line. */
  readonly field?: string;
}

/** A record as its line has it, and obeys the rules of its schema. */
export interface ImportRecord<M extends Message = Message> {
  readonly line: number;
  readonly kind: RecordKind;
  /** What the other shop called it. */
  readonly externalId: string;
  readonly message: M;
}

/** A line that is refused. */
export interface RefusedLine extends Refusal {
  readonly line: number;
  /** Empty when it cannot be told. */
  readonly kind: string;
  readonly id: string;
}

/** The messages of the kinds that one service takes. */
export type RecordSchemas = Readonly<Partial<Record<RecordKind, DescMessage>>>;

/** How lines are read. */
export interface RecordReaderOptions {
  readonly schemas: RecordSchemas;
  /** What the other shop calls a record; it obeys the rules. */
  readonly idOf: (kind: RecordKind, message: Message) => string;
  /** Whether this is who says that a line cannot be read at all: of several that read a file, one. */
  readonly tellsUnreadable: boolean;
}

const what = { line: 0, kind: "", id: "" };
const code = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/** Reads lines by the schemas of their records, and judges them as calls are judged. */
export class RecordReader {
  readonly #options: RecordReaderOptions;
  readonly #validator = contractValidator();

  constructor(options: RecordReaderOptions) {
    this.#options = options;
  }

  /** The record of a line, why it has none, or undefined when it is somebody else's. */
  read({ number: line, text, problem }: RecordLine): ImportRecord | RefusedLine | undefined {
    const { tellsUnreadable, schemas } = this.#options;
    const parsed = text === undefined ? undefined : parse(text);
    if (parsed === undefined) return tellsUnreadable ? { ...what, line, ...unreadable(problem) } : undefined;
    const [kind, value] = parsed;
    const schema = schemas[kind];
    return schema && this.#judge({ line, kind, id: idIn(value) }, schema, value);
  }

  #judge(
    place: Pick<RefusedLine, "line" | "id"> & { readonly kind: RecordKind },
    schema: DescMessage,
    value: JsonValue,
  ): ImportRecord | RefusedLine {
    const { line, kind } = place;
    let message: MessageShape<DescMessage>;
    try {
      message = fromJson(schema, value);
    } catch (error) {
      return { ...place, ...malformed(error) };
    }
    const [wrong] = violationsOf(this.#validator, schema, message, true);
    if (!wrong) return { line, kind, externalId: this.#options.idOf(kind, message), message };
    const { field, description } = wrong;
    return { ...place, reason: "INVALID", field, message: `${field} ${description}` };
  }
}

/** Undefined when it is no object with one record of a known kind. */
function parse(text: string): [RecordKind, JsonValue] | undefined {
  let json: unknown;
  try {
    // biome-ignore lint/plugin/json: a line of bounded length, which its schema judges
    json = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof json !== "object" || json === null) return undefined;
  const [only, ...more] = Object.entries(json as Record<string, JsonValue>);
  if (!only || more.length > 0 || !Object.hasOwn(recordKinds, only[0])) return undefined;
  return only as [RecordKind, JsonValue];
}

function unreadable(problem: RecordLine["problem"]): Refusal {
  if (problem === "LINE_TOO_LONG") return { reason: problem, message: "the line has more than 256 KiB: no record has" };
  if (problem === "NOT_UTF8") return { reason: problem, message: "the line is not UTF-8: convert the file" };
  const kinds = Object.keys(recordKinds).join(", ");
  return { reason: "NO_RECORD", message: `the line is no JSON object with one record, which is one of: ${kinds}` };
}

/** What the decoder says names values, and whatever stands where a key should: only what can be a name of a field is told. */
function malformed(error: unknown): Refusal {
  const text = error instanceof Error ? error.message : "";
  const [, kind, name = "the record"] =
    /decode (field|message|enum) (?:\w{1,64}\.){1,8}(\w{1,64}) from JSON/.exec(text) ?? [];
  const [, unknown = ""] = /key "(\w{1,64})" is unknown/.exec(text) ?? [];
  const field = unknown || (kind === "field" ? name : "");
  const why = unknown ? `the schema of ${name} has no ${unknown}` : `${name} does not have the form of the schema`;
  return { reason: "MALFORMED", field, message: why };
}

/** So that a line is found again that breaks a rule. */
function idIn(value: JsonValue): string {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return "";
  const { externalId, external_id: snake = externalId, sku = snake } = value;
  return typeof sku === "string" && code.test(sku) ? sku : "";
}
