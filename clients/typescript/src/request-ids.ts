import { randomUUID } from "node:crypto";
import { clone, type DescMessage, type DescMethod, type Message, ScalarType } from "@bufbuild/protobuf";
import { isRead } from "./timeouts.ts";

const name = "requestId";
const list = "requests";

/** What makes a repeated call recognizable: its own id, or those of its entries. */
type Keys = "own" | "of entries" | "none";

function keysOf({ field }: DescMessage): Keys {
  if (field[name]?.scalar === ScalarType.STRING) return "own";
  return field[list]?.message && keysOf(field[list].message) === "own" ? "of entries" : "none";
}

/** Gives a request, and each of its entries, an id where it has none, so that repetitions are recognized. Entries are copied for it. */
export function giveIds(schema: DescMessage, message: Message): void {
  const fields = message as unknown as Record<string, unknown>;
  const keys = keysOf(schema);
  if (keys === "own") fields[name] ||= randomUUID();
  const entrySchema = schema.field[list]?.message;
  if (keys === "of entries" && entrySchema) {
    fields[list] = (fields[list] as Message[]).map((entry) => {
      if ((entry as unknown as Record<string, unknown>)[name]) return entry;
      const copy = clone(entrySchema, entry);
      giveIds(entrySchema, copy);
      return copy;
    });
  }
}

/** Whether a call may be made again without a second effect. */
export function isRepeatable(method: DescMethod): boolean {
  return isRead(method) || keysOf(method.input) !== "none";
}
