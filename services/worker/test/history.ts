import { readFile } from "node:fs/promises";

/** The folder of the recorded histories. */
export const historyFolder = new URL("./histories/", import.meta.url);

/**
 * A recorded history as the replayer takes it: as JSON.
 *
 * @param edit changes the text before it is read
 */
export async function readHistory(name: string, edit = (text: string) => text): Promise<unknown> {
  return JSON.parse(edit(await readFile(new URL(`${name}.json`, historyFolder), "utf8")));
}
