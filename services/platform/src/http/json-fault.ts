import { type DescField, type DescMessage, fromJson, type JsonValue } from "@bufbuild/protobuf";
import { type FieldViolation, toldText } from "#platform/bad-request.ts";

/**
 * What keeps a JSON value from being a message, as the way to it in the caller's spelling. It looks for the first part that
 * cannot be read alone; undefined when each can.
 */
export function faultIn(schema: DescMessage, json: JsonValue, path = ""): FieldViolation | undefined {
  if (!isObject(json)) return { field: path, description: "must be an object", reason: "malformed" };
  for (const [key, value] of Object.entries(json)) {
    const told = toldText(key);
    const at = path ? `${path}.${told}` : told;
    const field = schema.fields.find(({ name, jsonName }) => jsonName === key || name === key);
    if (!field) return { field: at, description: `${schema.typeName} has no such field`, reason: "unknown_field" };
    const why = problemOf(schema, { [key]: value });
    if (why !== undefined) return faultOf(field, value, at) ?? { field: at, description: why, reason: "malformed" };
  }
  return undefined;
}

function isObject(json: JsonValue): json is { [key: string]: JsonValue } {
  return typeof json === "object" && json !== null && !Array.isArray(json);
}

/** Why a value cannot be read; undefined when it can. */
function problemOf(schema: DescMessage, json: JsonValue): string | undefined {
  try {
    fromJson(schema, json);
    return undefined;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return toldText(message.replace(/^cannot decode .+? from JSON: /, ""));
  }
}

/** What is wrong within a value that cannot be read, or with it when it names no known value of an enum. */
function faultOf(field: DescField, value: JsonValue, at: string): FieldViolation | undefined {
  if (field.fieldKind === "map") return undefined;
  if (field.fieldKind !== "list") return faultOfOne(field, value, at);
  if (!Array.isArray(value)) return { field: at, description: "must be a list", reason: "malformed" };
  for (const [index, entry] of value.entries()) {
    const why = problemOf(field.parent, { [field.jsonName]: [entry] });
    const place = `${at}[${index}]`;
    if (why !== undefined) {
      return faultOfOne(field, entry, place) ?? { field: place, description: why, reason: "malformed" };
    }
  }
  return undefined;
}

function faultOfOne(field: DescField, value: JsonValue, at: string): FieldViolation | undefined {
  if (field.enum && typeof value === "string") {
    const names = field.enum.values.map(({ name }) => name).join(", ");
    return { field: at, description: `must be one of ${names}`, reason: "unknown_enum_value" };
  }
  // The types of Google have forms of their own in JSON, such as a time as a text.
  const whole = field.message && !field.message.typeName.startsWith("google.protobuf.");
  return whole ? faultIn(field.message, value, at) : undefined;
}
