// Every call of every service by reflection, and valid requests for them whose texts are chosen by a test.
import { globSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import {
  type DescExtension,
  type DescField,
  type DescFile,
  type DescMessage,
  type DescMethod,
  getExtension,
  getOption,
  isMessage,
  ScalarType,
} from "@bufbuild/protobuf";
import { type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";
import { TimestampSchema, timestampNow } from "@bufbuild/protobuf/wkt";
import {
  predefined as predefinedRules,
  field as rulesOf,
  type StringRules,
} from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import type { PriceAdjustment } from "#gen/shop/orders/v1/order_pb.js";
import { RequestedExchangeSchema } from "#gen/shop/orders/v1/order_return_service_pb.js";
import { type CreateOrderRequest, CreateOrderRequestSchema } from "#gen/shop/orders/v1/order_service_pb.js";
import { characters, file_shop_type_v1_rules } from "#gen/shop/type/v1/rules_pb.js";
import { root } from "../../../deploy/command/checkout.ts";
import { type Service, serviceFacts, services } from "../../../services/services.ts";

/** Which processes serve a package. */
export function serversOf(name: string): Service[] {
  return services.filter((service) => serviceFacts[service].packages.includes(name));
}

/** A call of one process. */
export interface ContractCall {
  readonly server: Service;
  readonly method: DescMethod;
}

/** All calls of all processes. @throws Error for a package of which it is not known who serves it */
export async function contractCalls(): Promise<ContractCall[]> {
  const folder = join(root, "services/platform/src/gen");
  const paths = globSync("{shop,ordermesh/connectors}/**/*_pb.js", { cwd: folder }).sort();
  const calls = paths.map(async (path) => {
    const module = (await import(pathToFileURL(join(folder, path)).href)) as Record<string, unknown>;
    const file = Object.values(module).find((part) => (part as { kind?: string }).kind === "file") as DescFile;
    const serving = serversOf(file.proto.package);
    if (file.services.length > 0 && serving.length === 0) {
      throw new Error(`services/services.json does not say who serves ${file.proto.package}`);
    }
    const methods = file.services.flatMap((service) => service.methods);
    return serving.flatMap((server) => methods.map((method) => ({ server, method })));
  });
  return (await Promise.all(calls)).flat();
}

/** A field with text, somewhere in a request. */
export interface TextField {
  readonly field: DescField;
  /** Its place in the request's type: `requests[].shipping_address.lines[]`. */
  readonly path: string;
}

/** All fields with text that a request can have. */
export function textFieldsOf(schema: DescMessage, within = ""): TextField[] {
  return schema.fields.flatMap((field) => {
    const path = `${within}${field.name}${field.fieldKind === "list" ? "[]" : ""}`;
    if (field.scalar === ScalarType.STRING) return [{ field, path }];
    return field.message ? textFieldsOf(field.message, `${path}.`) : [];
  });
}

/** What the contract says about a text: its form and its longest length. */
export interface TextRules {
  readonly pattern: string;
  readonly email: boolean;
  readonly longest: number;
}

/** The rules of a field with text; a list's are those of its entries. */
export function textRulesOf(field: DescField): TextRules {
  const { type } = getOption(field, rulesOf);
  const rules = type.case === "repeated" ? type.value.items?.type : type;
  const text: Partial<StringRules> = rules?.case === "string" ? rules.value : {};
  const predefined = predefinedOf(text);
  const { maxLen = 0n, wellKnown } = text;
  return {
    pattern: predefined.pattern,
    email: wellKnown?.case === "email",
    longest: Number(maxLen) || predefined.longest,
  };
}

/** What the rules of ours say that a field names; they are CEL, of which two forms are used. */
function predefinedOf(text: Partial<StringRules>): Pick<TextRules, "pattern" | "longest"> {
  const { $unknown = [] } = text;
  const ours = (rule: DescExtension) => $unknown.some(({ no }) => no === rule.number);
  if (ours(characters)) return { pattern: "", longest: getExtension(text as StringRules, characters) };
  const named = file_shop_type_v1_rules.extensions.filter((rule) => rule.extendee.name === "StringRules" && ours(rule));
  const said = named.flatMap((rule) => getOption(rule, predefinedRules).cel.map(({ expression }) => expression)).join();
  const [, longest] = /this\.size\(\) <= (\d+)/.exec(said) ?? [];
  // Where a length is said, the pattern only wants something to see.
  if (longest !== undefined) return { pattern: "", longest: Number(longest) };
  const [, pattern = ""] = /this\.matches\('(.*?)'\)/.exec(said) ?? [];
  return { pattern, longest: 100 };
}

/** How to fill a request. */
export interface Filling {
  /** The text of a field; `at` is its place in this request: `requests[3].shipping_address.lines[0]`. */
  readonly text: (field: TextField, at: string) => string;
  /** Values of enums that are not the first one: `TransitionOrderRequest.status`. */
  readonly values?: Readonly<Record<string, number>>;
  /** The field that is wanted: of fields that exclude each other it is the one on the way to it; the first one otherwise. */
  readonly wanted?: TextField;
  /** How many entries a list of the request has, and a list further within; an address takes three lines. */
  readonly lengths: readonly [outer: number, inner: number];
}

interface Place {
  readonly path: string;
  readonly at: string;
}

/** A request with every field set that takes text or is needed for a valid request. */
export function requestWith(schema: DescMessage, filling: Filling): ReflectMessage {
  return fill(schema, filling, { path: "", at: "" });
}

function fill(schema: DescMessage, filling: Filling, within: Place): ReflectMessage {
  const message = reflect(schema);
  const length = filling.lengths[within.path === "" ? 0 : 1];
  for (const field of schema.fields) {
    const [path, at] = [`${within.path}${field.name}`, `${within.at}${field.name}`];
    if (isExcluded(field, filling, within.path)) continue;
    if (field.fieldKind === "list") {
      for (let index = 0; index < length; index += 1) {
        const entry = valueFor(field, filling, { path: `${path}[]`, at: `${at}[${index}]` });
        message.get(field).add(entry);
      }
    } else {
      const value = valueFor(field, filling, { path, at });
      if (value !== undefined) message.set(field, value);
    }
  }
  const { message: filled } = message;
  if (isMessage(filled, CreateOrderRequestSchema) || isMessage(filled, RequestedExchangeSchema)) addUp(filled);
  return message;
}

/** An order is refused when its prices do not sum to its total. */
function addUp({ lines, adjustments, total }: Pick<CreateOrderRequest, "lines" | "adjustments" | "total">): void {
  const sumOf = (all: readonly PriceAdjustment[]) => all.reduce((sum, { amount }) => sum + (amount?.amount ?? 0n), 0n);
  if (!total) return;
  total.amount = lines.reduce(
    (sum, { quantity, unitPrice, adjustments: own }) => sum + BigInt(quantity) * (unitPrice?.amount ?? 0n) + sumOf(own),
    sumOf(adjustments),
  );
}

/** Whether another field of the same oneof is filled. */
function isExcluded({ oneof, name }: DescField, { wanted }: Filling, within: string): boolean {
  if (!oneof) return false;
  const onTheWay = (field: DescField) => wanted && `${wanted.path}.`.startsWith(`${within}${field.name}.`);
  const chosen = oneof.fields.find(onTheWay) ?? oneof.fields[0];
  return chosen?.name !== name;
}

function valueFor(field: DescField, filling: Filling, place: Place) {
  const { path, at } = place;
  if (field.scalar === ScalarType.STRING) return filling.text({ field, path }, at);
  if (field.message?.typeName === TimestampSchema.typeName) return timeOf(field);
  if (field.message) return fill(field.message, filling, { path: `${path}.`, at: `${at}.` });
  if (field.enum) return filling.values?.[`${field.parent.name}.${field.name}`] ?? field.enum.values[1]?.number;
  // An optional number is a condition on what is there.
  if (field.name === "line_number") return lineNumberAt(at);
  if (field.name === "revision" || field.scalar === ScalarType.BOOL) return undefined;
  // Of an order that is there later episodes have asked.
  if (field.name === "fence") return undefined;
  return field.scalar === ScalarType.INT64 ? 1n : 1;
}

/** A request names each line of an order once: `lines[2].line_number`. */
function lineNumberAt(at: string): number {
  const [, index = "0"] = /\[(\d+)\]\.line_number$/.exec(at) ?? [];
  return Number(index) + 1;
}

/** What has happened has a time; filters by time would find nothing. A span of time ends after it began. */
function timeOf(field: DescField) {
  const hasHappened = field.name === "event_time" || getOption(field, rulesOf).required;
  if (!hasHappened) return undefined;
  const time = timestampNow();
  return reflect(TimestampSchema, field.name.endsWith("_until") ? { ...time, seconds: time.seconds + 3_600n } : time);
}
