import { randomUUID } from "node:crypto";
import { clone, type DescMessage, type DescMethod, type Message, ScalarType } from "@bufbuild/protobuf";
import { isReflectMessage, type ReflectMessage, reflect, reflectList } from "@bufbuild/protobuf/reflect";
import { isRead } from "./timeouts.ts";

const name = "requestId";
const list = "requests";

/** What makes a repeated call recognizable: its own id, or those of its entries. */
type Keys = "own" | "of entries" | "none";

function keysOf({ field }: DescMessage): Keys {
  if (field[name]?.scalar === ScalarType.STRING) return "own";
  return field[list]?.message && keysOf(field[list].message) === "own" ? "of entries" : "none";
}

/** Gives a message an id of its own, where it has none. */
function giveId(message: ReflectMessage): void {
  const field = message.desc.field[name];
  if (field && message.get(field) === "") message.set(field, randomUUID());
}

function withId({ desc, message }: ReflectMessage): Message {
  const copy = reflect(desc, clone(desc, message));
  giveId(copy);
  return copy.message;
}

/** Gives a request, and each of its entries, an id where it has none, so that repetitions are recognized. Entries are copied for it. */
export function giveIds(schema: DescMessage, message: Message): void {
  const keys = keysOf(schema);
  const request = reflect(schema, message);
  if (keys === "own") giveId(request);
  const entries = schema.field[list];
  if (keys !== "of entries" || entries?.fieldKind !== "list") return;
  const copies = [...request.get(entries)].filter((entry) => isReflectMessage(entry)).map(withId);
  request.set(entries, reflectList(entries, copies));
}

/** Whether a call may be made again without a second effect. */
export function isRepeatable(method: DescMethod): boolean {
  return isRead(method) || keysOf(method.input) !== "none";
}
