import { type Document, isMap, isNode, isScalar, parse, parseDocument, type YAMLMap } from "yaml";

/** A value of a chart: its place, what its comment says, and what it is when nobody sets it. */
export interface Value {
  /** The keys that lead to it. */
  readonly path: readonly string[];
  /** The comment above it, as one paragraph. */
  readonly description: string;
  /** The keywords of JSON Schema that its comment gives behind `@schema`, and `$service`. */
  readonly keywords: Readonly<Record<string, unknown>>;
  /** The default in JSON. */
  readonly value: unknown;
  /** The values inside, when it is a map with keys of its own. */
  readonly children: readonly Value[];
}

/** The comment right above a line: the lines before it that begin with `#` at the same column. */
function commentAbove(lines: readonly string[], line: number): string[] {
  const indent = /^ */.exec(lines[line] ?? "")?.[0].length ?? 0;
  const found: string[] = [];
  for (let at = line - 1; at >= 0; at -= 1) {
    const text = lines[at] ?? "";
    if (!text.startsWith("#", indent) || text.slice(0, indent).trim() !== "") break;
    found.unshift(text.slice(indent + 1).trim());
  }
  return found;
}

function lineOf(text: string, offset: number): number {
  return text.slice(0, offset).split("\n").length - 1;
}

/** The file that is read. */
interface Source {
  readonly document: Document.Parsed;
  readonly text: string;
  readonly lines: readonly string[];
}

function readMap(map: YAMLMap, source: Source, above: readonly string[]): Value[] {
  return map.items.map((pair) => {
    if (!isScalar(pair.key) || !pair.key.range) throw new Error(`a key below ${above.join(".")} is not a plain word`);
    const path = [...above, String(pair.key.value)];
    const comment = commentAbove(source.lines, lineOf(source.text, pair.key.range[0]));
    const keywords = comment.filter((line) => line.startsWith("@schema ")).map((line) => parse(line.slice(8)));
    const inside = isMap(pair.value) && pair.value.items.length > 0 ? readMap(pair.value, source, path) : [];
    if (!isNode(pair.value)) throw new Error(`${path.join(".")} has no value`);
    return {
      path,
      description: comment.filter((line) => !line.startsWith("@")).join(" "),
      keywords: Object.assign({}, ...keywords),
      value: pair.value.toJS(source.document),
      children: inside,
    };
  });
}

/**
 * Reads the values of a chart and the comments above them.
 * @throws Error that names the key that cannot be read
 */
export function readValues(text: string): Value[] {
  const document = parseDocument(text);
  const [error] = document.errors;
  if (error) throw error;
  if (!isMap(document.contents)) throw new Error("values.yaml holds no map");
  return readMap(document.contents, { document, text, lines: text.split("\n") }, []);
}
