// Under which licences the packages of the lock file come. `npm run check` fails when one is not among those that are accepted.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** What asks for no more than a notice, which the image carries with each package. Names as in https://spdx.org/licenses. */
const accepted: ReadonlySet<string> = new Set([
  ...[
    "0BSD",
    "Apache-2.0",
    "BlueOak-1.0.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CC-BY-4.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unlicense",
  ],
]);

/** Packages that name their licence otherwise, or not where npm reads it; each was looked at. */
const lookedAt: Readonly<Record<string, string>> = {
  "@elastic/ecs": "Apache-2.0",
  "ansi-color": "BSD-2-Clause",
  process: "MIT",
  unionfs: "Unlicense",
};

/** What is read of a package's package.json, and of its entry in the lock file. */
interface Named {
  readonly license?: string | { readonly type?: string };
  readonly licenses?: readonly { readonly type?: string }[];
}

/** Whether an expression of SPDX is satisfied by licences that are accepted: one side of an OR, both of an AND. */
export function isAccepted(expression: string): boolean {
  const plain = expression.replaceAll(/[()]/g, " ");
  const sides =
    expression.includes(" AND ") && expression.includes(" OR ")
      ? [plain.replaceAll(" OR ", " AND ")]
      : plain.split(" OR ");
  return sides.some((side) => side.split(" AND ").every((name) => accepted.has(name.trim())));
}

function licenceOf({ license, licenses }: Named): string | undefined {
  if (typeof license === "string") return license;
  return license?.type ?? licenses?.map(({ type }) => type).join(" OR ");
}

/** What is wrong with the licences of a checkout's packages, a sentence each. Packages of other platforms are not installed: their lock entry counts. */
export function licenceFaults(root: string): string[] {
  const { packages } = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")) as {
    packages: Readonly<Record<string, Named & { readonly optional?: boolean }>>;
  };
  return Object.entries(packages).flatMap(([path, entry]) => {
    if (path === "" || !path.includes("node_modules/")) return [];
    const name = path.split("node_modules/").at(-1) ?? path;
    const file = join(root, path, "package.json");
    const installed = existsSync(file) ? licenceOf(JSON.parse(readFileSync(file, "utf8"))) : undefined;
    const licence = lookedAt[name] ?? installed ?? licenceOf(entry);
    // What another platform would install is a part of a package that is here, under its licence.
    if (licence === undefined && entry.optional) return [];
    if (licence === undefined) return [`${name} says no licence: look at it, and name it in dev/supply/licences.ts`];
    return isAccepted(licence) ? [] : [`${name} comes under ${licence}, which is not accepted`];
  });
}
