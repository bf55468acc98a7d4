import { globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseSync } from "@swc/core";

/** One file imports another, or a package. */
export interface Import {
  /** The file, as its path from the repository's root. */
  readonly from: string;
  /** The other file likewise, or what a package is called: `@temporalio/workflow`. */
  readonly to: string;
  /** What is imported, types too; empty when it is all of it, or nothing but its effects. */
  readonly names: readonly string[];
}

/** A node of swc's tree, of which only some are looked at. */
interface Node {
  readonly type?: string;
  readonly [key: string]: unknown;
}

interface Named {
  readonly value: string;
}

/** What `package.json` says of imports that begin with "#". */
type Subpaths = Readonly<Record<string, string>>;

const code = ["{services,clients,deploy,dev,bench,charts,examples}/**/*.{ts,mjs}"];
/** Generated code is as its generator arranges it. */
const exclude = ["**/node_modules/**", "services/platform/src/gen/**", "clients/typescript/{src/gen,dist}/**"];

function visit(value: unknown, see: (node: Node) => void): void {
  if (typeof value !== "object" || value === null) return;
  if (!Array.isArray(value)) see(value as Node);
  for (const inner of Object.values(value)) visit(inner, see);
}

function namesOf(specifiers: readonly { imported?: Named; orig?: Named; local?: Named }[] = []): string[] {
  return specifiers.flatMap(({ imported, orig, local }) => (imported ?? orig ?? local)?.value ?? []);
}

/** What a node imports, as it is written. */
function importOf(node: Node): { specifier: string; names: string[] } | undefined {
  switch (node.type) {
    case "ImportDeclaration":
    case "ExportNamedDeclaration":
    case "ExportAllDeclaration": {
      const source = node.source as Named | null;
      return source ? { specifier: source.value, names: namesOf(node.specifiers as []) } : undefined;
    }
    case "CallExpression": {
      const [argument] = node.arguments as { expression: Node }[];
      const isImport = (node.callee as Node).type === "Import" && argument?.expression.type === "StringLiteral";
      return isImport ? { specifier: String(argument.expression.value), names: [] } : undefined;
    }
    case "TsImportType":
      return { specifier: (node.argument as Named).value, names: [] };
    default:
      return undefined;
  }
}

function resolve(specifier: string, from: string, subpaths: Subpaths): string {
  if (specifier.startsWith(".")) return join(dirname(from), specifier);
  for (const [pattern, target] of Object.entries(subpaths)) {
    const prefix = pattern.slice(0, -1);
    if (specifier.startsWith(prefix)) return join(target.slice(0, -1), specifier.slice(prefix.length));
  }
  return specifier;
}

/** Every import of the repository's code: of values and of types, at the top of a file and in the middle of it. */
export function readImports(root: string): Import[] {
  const { imports } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { imports: Subpaths };
  const found: Import[] = [];
  for (const from of globSync(code, { cwd: root, exclude })) {
    const { body } = parseSync(readFileSync(join(root, from), "utf8"), { syntax: "typescript" });
    visit(body, (node) => {
      const written = importOf(node);
      if (written) found.push({ from, to: resolve(written.specifier, from, imports), names: written.names });
    });
  }
  return found;
}
