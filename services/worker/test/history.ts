import { readFile } from "node:fs/promises";

/** The folder of the recorded histories. */
export const historyFolder = new URL("./histories/", import.meta.url);

/** The file of a recorded history. */
export function historyFile(name: string): URL {
  return new URL(`${name}.json`, historyFolder);
}

/**
 * A recorded history as the replayer takes it: as JSON.
 *
 * @param edit changes the text before it is read
 */
export async function readHistory(name: string, edit = (text: string) => text): Promise<unknown> {
  return JSON.parse(edit(await readFile(historyFile(name), "utf8")));
}
