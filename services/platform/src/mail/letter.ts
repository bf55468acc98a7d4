/** What somebody reads: sentences without marks, which text and HTML are made of. */
export interface Letter {
  readonly subject: string;
  readonly greeting: string;
  readonly paragraphs: readonly string[];
  /** Articles, for example; empty where there are none. */
  readonly items: readonly string[];
  /** Where to go from here. */
  readonly link?: { readonly label: string; readonly url: string };
  readonly closing: string;
}

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? "");
}

/** A letter as plain text. */
export function toText({ greeting, paragraphs, items, link, closing }: Letter): string {
  const list = items.length === 0 ? [] : [items.map((item) => `- ${item}`).join("\n")];
  // Alone in its line, so that every reader finds its end.
  const way = link ? [`${link.label}:\n${link.url}`] : [];
  return `${[greeting, ...paragraphs, ...list, ...way, closing].join("\n\n")}\n`;
}

/** A letter as HTML, of paragraphs, a list and a link alone. */
export function toHtml({ subject, greeting, paragraphs, items, link, closing }: Letter, language: string): string {
  const list = items.map((item) => `<li>${escaped(item)}</li>`).join("");
  const body = [greeting, ...paragraphs].map((text) => `<p>${escaped(text)}</p>`).join("\n");
  const way = link ? `<p><a href="${escaped(link.url)}">${escaped(link.label)}</a></p>\n` : "";
  return `<!doctype html>
<html lang="${language}">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${escaped(subject)}</title></head>
<body>
${body}
${list === "" ? "" : `<ul>${list}</ul>\n`}${way}<p>${escaped(closing)}</p>
</body>
</html>
`;
}
