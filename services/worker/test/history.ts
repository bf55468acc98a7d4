import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";

/** The folder of the recorded histories. */
export const historyFolder = new URL("./histories/", import.meta.url);

interface ProtoJson {
  fromJson(type: unknown, json: unknown, options: object): unknown;
}

/**
 * A recorded history as the replayer takes it.
 *
 * The SDK's own reading of JSON fails when npm gives two of its packages a protobufjs each, because an older one is
 * installed at the top; so the history is read with the copy that belongs to the SDK's types.
 *
 * @param edit changes the text before it is read
 */
export async function readHistory(name: string, edit = (text: string) => text): Promise<unknown> {
  const ours = createRequire(import.meta.url);
  const path = ours.resolve("@temporalio/proto", { paths: [ours.resolve("@temporalio/common")] });
  const theirs = createRequire(path);
  const { patchProtobufRoot } = theirs("@temporalio/proto/lib/patch-protobuf-root");
  const root: { lookupType(name: string): unknown } = patchProtobufRoot(theirs("@temporalio/proto"));
  const { fromJson }: ProtoJson = theirs("protobufjs/ext/protojson.js");
  const json: unknown = JSON.parse(edit(await readFile(new URL(`${name}.json`, historyFolder), "utf8")));
  return fromJson(root.lookupType("temporal.api.history.v1.History"), json, { ignoreUnknownFields: true });
}
