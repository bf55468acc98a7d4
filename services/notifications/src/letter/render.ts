import type { Letter } from "./letter.ts";

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
export function toText({ greeting, paragraphs, items, closing }: Letter): string {
  const list = items.length === 0 ? [] : [items.map((item) => `- ${item}`).join("\n")];
  return `${[greeting, ...paragraphs, ...list, closing].join("\n\n")}\n`;
}

/** A letter as HTML, of paragraphs and a list alone. */
export function toHtml({ subject, greeting, paragraphs, items, closing }: Letter, language: string): string {
  const list = items.map((item) => `<li>${escaped(item)}</li>`).join("");
  const body = [greeting, ...paragraphs].map((text) => `<p>${escaped(text)}</p>`).join("\n");
  return `<!doctype html>
<html lang="${language}">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${escaped(subject)}</title></head>
<body>
${body}
${list === "" ? "" : `<ul>${list}</ul>\n`}<p>${escaped(closing)}</p>
</body>
</html>
`;
}
