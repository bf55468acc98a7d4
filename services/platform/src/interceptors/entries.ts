import { setImmediate as turn } from "node:timers/promises";
import { type DescField, type DescMessage, getOption, hasOption, type Message } from "@bufbuild/protobuf";
import { Ignore, field as rulesOf } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";

type ListOfMessages = DescField & { readonly fieldKind: "list"; readonly listKind: "message" };

const found = new Map<DescMessage, ListOfMessages | undefined>();

/**
 * The list of a request whose entries are judged each for itself, when it has one: that of which its rules say
 * `items: {ignore: IGNORE_ALWAYS}`. What is wrong with an entry is its outcome then, and not the call's error.
 */
export function ownEntries(schema: DescMessage): ListOfMessages | undefined {
  if (!found.has(schema)) found.set(schema, schema.fields.find(isOfOwnEntries));
  return found.get(schema);
}

function isOfOwnEntries(field: DescField): field is ListOfMessages {
  if (field.fieldKind !== "list" || field.listKind !== "message" || !hasOption(field, rulesOf)) return false;
  const { type } = getOption(field, rulesOf);
  return type.case === "repeated" && type.value.items?.ignore === Ignore.ALWAYS;
}

/** How long entries are judged without a break, in milliseconds: other calls wait meanwhile. */
const breathMs = 5;

/**
 * Judges the entries of a list one after the other, with breaks.
 *
 * @param judge what an entry is refused for; undefined when nothing is wrong
 */
export async function judgeEntries(
  list: ListOfMessages,
  message: Message,
  judge: (entry: Message, index: number) => Error | undefined,
): Promise<ReadonlyMap<number, Error>> {
  const entries = (message as unknown as Record<string, readonly Message[]>)[list.localName] ?? [];
  const refused = new Map<number, Error>();
  let since = performance.now();
  for (const [index, entry] of entries.entries()) {
    const refusal = judge(entry, index);
    if (refusal) refused.set(index, refusal);
    if (performance.now() - since < breathMs) continue;
    await turn();
    since = performance.now();
  }
  return refused;
}
