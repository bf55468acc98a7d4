/** Something in a runbook that somebody may type. */
export interface Block {
  readonly language: string;
  readonly text: string;
}

/** The fenced blocks of a page, without the indent of the list that they are in. */
export function blocksOf(markdown: string): Block[] {
  return [...markdown.matchAll(/^( *)```(\w+)\n(.*?)\n\1```$/gms)].map(([, indent = "", language = "", text = ""]) => ({
    language,
    text: text.replaceAll(new RegExp(`^${indent}`, "gm"), ""),
  }));
}
