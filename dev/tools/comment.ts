import { getComments } from "@bufbuild/protoplugin";

/** The comment above a declaration as one paragraph a line, a table with its rows; lint exceptions are left out. */
export function commentOf(desc: Parameters<typeof getComments>[0]): string {
  return (getComments(desc).leading ?? "")
    .split(/\n\s*\n/)
    .map((paragraph) => {
      const lines = paragraph.split("\n").map((line) => line.trim());
      const said = lines.filter((line) => !line.startsWith("buf:lint:"));
      return said.join(said.every((line) => line.startsWith("|")) ? "\n" : " ").trim();
    })
    .filter((paragraph) => paragraph !== "")
    .join("\n\n");
}
