// Whether a file of the repository holds what opens a door somewhere. `npm run check` fails when one does.
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { root } from "../../deploy/command/checkout.ts";
import { run } from "../../deploy/command/run.ts";

/** Larger files are data. */
const maxBytes = 2 * 1024 * 1024;

/** What the tokens of others look like, by who gives them; and what looks like a secret by where it stands. */
const patterns: Readonly<Record<string, RegExp>> = {
  "a private key": /-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----\s*[A-Za-z0-9+/=\s]{64}/g,
  "a key of AWS": /\b(?:AKIA|ASIA)[A-Z2-7]{16}\b/g,
  "a token of GitHub": /\b(?:gh[opusr]_[A-Za-z0-9]{36,}|github_pat_\w{60,})/g,
  "a token of GitLab": /\bglpat-[\w-]{20,}/g,
  "a token of npm": /\bnpm_[A-Za-z0-9]{36}\b/g,
  "a token of Slack": /\bxox[abeprs]-[\w-]{20,}/g,
  "a key of Stripe": /\b(?:sk|rk)_live_[A-Za-z0-9]{20,}/g,
  "a key of EasyPost": /\bEZAK[A-Za-z0-9]{20,}/g,
  "a key of Google": /\bAIza[\w-]{35}\b/g,
  "a JSON web token": /\beyJ[\w-]{15,}\.eyJ[\w-]{15,}\.[\w-]{20,}/g,
  "a password in a URL": /\b[a-z][a-z0-9+]*:\/\/[\w.-]+:(?!password@)(?<secret>[^\s:@/"'`$<{%]{6,})@[\w.-]+/g,
  "a secret by its name":
    /(?:secret|token|passw(?:or)?d|api_?key|private_?key)s?["']?\s*[:=]\s*["'`](?<secret>[A-Za-z0-9+/=_-]{20,})["'`]/gi,
};

/** Bits of a character: what people make up has about three, what was made at random more. */
function entropyOf(text: string): number {
  const counts = new Map<string, number>();
  for (const character of text) counts.set(character, (counts.get(character) ?? 0) + 1);
  return [...counts.values()].reduce((sum, count) => sum - (count / text.length) * Math.log2(count / text.length), 0);
}

/** A secret by its name is one when it looks random: long words and names of settings are none. */
const minEntropy = 3.9;

/** What tests and the cluster of one developer have, which opens nothing; each was looked at. The end of a path, and what it holds. */
const harmless: readonly (readonly [path: string, text: RegExp])[] = [
  // Of a server that lives as long as the tests of one process.
  ["services/platform/testing/postgres-keeper.ts", /^postgres:\/\//],
  ["services/platform/test/redact/redact.test.ts", /^postgres:\/\//],
  ["services/platform/test/faces/conformance.ts", /0123456789abcdef/],
];

/** A place that may hold a secret: never with the secret. */
export interface Finding {
  readonly path: string;
  readonly line: number;
  readonly what: string;
}

/** What a text may hold. */
export function secretsIn(path: string, text: string): Finding[] {
  const findings: Finding[] = [];
  for (const [what, pattern] of Object.entries(patterns)) {
    for (const match of text.matchAll(pattern)) {
      const { secret } = match.groups ?? {};
      if (secret !== undefined && what === "a secret by its name" && entropyOf(secret) < minEntropy) continue;
      if (harmless.some(([end, known]) => path.endsWith(end) && known.test(match[0]))) continue;
      findings.push({ path, line: text.slice(0, match.index).split("\n").length, what });
    }
  }
  return findings;
}

/** Everything that git knows of the checkout, and what it would take. */
export async function secretFaults(): Promise<string[]> {
  const list = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
  const said = await run("git", list, { cwd: root, timeoutMs: 30_000, keepOutput: true });
  const paths = said.split("\0").filter((path) => path !== "" && !path.endsWith("package-lock.json"));
  return paths.flatMap((path) => {
    const stat = statSync(join(root, path), { throwIfNoEntry: false });
    if (!stat?.isFile() || stat.size > maxBytes) return [];
    const findings = secretsIn(path, readFileSync(join(root, path), "utf8"));
    return findings.map(({ line, what }) => `${path}:${line} may hold ${what}`);
  });
}
