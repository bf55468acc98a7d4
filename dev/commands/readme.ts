/** One command of a document and what the document says that it prints. */
export interface Example {
  readonly command: string;
  /** The text below the command; empty when the document shows none. */
  readonly output: string;
}

/**
 * The examples of a Markdown document: every fenced `sh` or `console` block right after a line `<!-- run -->`. Lines that
 * begin with "$ " are commands; one goes on below while it ends with a backslash or a single quote is open. What follows is
 * what it prints.
 */
export function examplesOf(markdown: string): Example[] {
  const blocks = markdown.matchAll(/^<!-- run -->\s*\n```(?:sh|bash|console)\n([\s\S]*?)^```$/gm);
  return [...blocks].flatMap(([, body = ""]) => examplesOfBlock(body));
}

function examplesOfBlock(body: string): Example[] {
  // A command begins at "$ " in the first column; what precedes the first one is no command.
  const parts = body.split(/^\$ /m).slice(1);
  return parts.map((part) => {
    const lines = part.split("\n");
    const end = lines.findIndex((line, index) => !line.endsWith("\\") && isClosed(lines.slice(0, index + 1)));
    return {
      command: lines.slice(0, end + 1).join("\n"),
      output: lines
        .slice(end + 1)
        .join("\n")
        .trim(),
    };
  });
}

function isClosed(lines: readonly string[]): boolean {
  return lines.join("").split("'").length % 2 === 1;
}

/**
 * Why a real output does not have the shape of the documented one, or undefined when it has. JSON must have the same
 * fields with the same kinds of values, and constants of the same kind ("ORDER_STATUS_…"). Other text must have every documented line; numbers, ids and times may differ. A documented "…" stands for anything.
 */
export function differenceOf(documented: string, actual: string): string | undefined {
  if (documented === "") return undefined;
  const expected = parseJson(documented);
  if (expected === undefined) return missingLine(documented, actual);
  const real = parseJson(actual);
  if (real === undefined) return `it is not JSON: ${actual.slice(0, 500)}`;
  const [wanted, got] = [shapeOf(expected), shapeOf(real)].map((shape) => JSON.stringify(shape, null, 1));
  return wanted === got ? undefined : `its shape is ${got}, documented is ${wanted}`;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function shapeOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.length === 0 ? [] : [shapeOf(value[0])];
  if (typeof value === "object" && value !== null) {
    const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
    return Object.fromEntries(entries.map(([key, field]) => [key, shapeOf(field)]));
  }
  if (typeof value === "string") return /^([A-Z]+_)+(?=[A-Z]+$)/.exec(value)?.[0] ?? "text";
  return typeof value;
}

function missingLine(documented: string, actual: string): string | undefined {
  const real = actual.split("\n").map(withoutParticulars);
  const lines = documented.split("\n").filter((line) => line.trim() !== "" && !/^\s*(…|\.\.\.)\s*$/.test(line));
  const missing = lines.find((line) => !real.includes(withoutParticulars(line)));
  return missing === undefined ? undefined : `it lacks the line "${missing}": ${actual.slice(0, 500)}`;
}

/** Ids, times and numbers differ from run to run. */
function withoutParticulars(line: string): string {
  return line
    .trim()
    .replace(/\b[0-7][0-9A-HJKMNP-TV-Z]{25}\b/g, "<id>")
    .replace(/\d+/g, "0");
}
