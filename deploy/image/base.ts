import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { root } from "../command/checkout.ts";
import { run } from "../command/run.ts";
import type { Builder } from "./builder.ts";

/** Base images made here: one to run in, and one that has npm besides, to build in. */
export interface Bases {
  readonly base: string;
  readonly buildBase: string;
}

/** npm for building, as the lock file was written with. */
const npmVersion = "11.19.1";
const certificates = "/etc/ssl/certs/ca-certificates.crt";

/**
 * Makes both base images from the Node of node_modules and the libraries that it is linked with on this machine: no
 * registry of images, no shell and no package manager in them. Node versions differ in their tags.
 */
export async function makeBases(builder: Builder, say: (line: string) => void): Promise<Bases> {
  const node = realpathSync(join(root, "node_modules/node/bin/node"));
  const version = (await run(node, ["--version"], { timeoutMs: 20_000 })).trim().slice(1);
  const bases = { base: `localhost/ordermesh-node:${version}`, buildBase: `localhost/ordermesh-node-npm:${version}` };
  if ((await builder.has(bases.base)) && (await builder.has(bases.buildBase))) return bases;
  say(`making the base images from Node ${version} of node_modules and this machine's C libraries`);
  const folder = await mkdtemp(join(tmpdir(), "ordermesh-base-"));
  try {
    const tree = join(folder, "root");
    await layOut(tree, node);
    await make(builder, { folder, tag: bases.base, settings: "" });
    await addNpm(tree, folder);
    // Behind a proxy that opens TLS only the machine's certificates help; they stay out of what is shipped.
    await make(builder, { folder, tag: bases.buildBase, settings: `NPM_CONFIG_CAFILE=${certificates}` });
    return bases;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The libraries that a program needs, with the loader, by the paths under which it looks for them. */
async function librariesOf(program: string): Promise<string[]> {
  const listing = await run("ldd", [program], { timeoutMs: 20_000 });
  return [...listing.matchAll(/(?:=> |^\s+)(\/\S+) \(0x/gm)].map(([, path = ""]) => path);
}

async function layOut(tree: string, node: string): Promise<void> {
  const target = process.arch === "arm64" ? "aarch64" : "x86_64";
  const core = join(root, `node_modules/@temporalio/core-bridge/releases/${target}-unknown-linux-gnu/index.node`);
  const libraries = new Set([...(await librariesOf(node)), ...(await librariesOf(core))]);
  for (const path of libraries) copyInto(tree, path, path);
  copyInto(tree, node, "/usr/local/bin/node");
  await chmod(join(tree, "usr/local/bin/node"), 0o755);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(tree, path)), { recursive: true });
    writeFileSync(join(tree, path), text);
  }
  mkdirSync(join(tree, "tmp"));
  await chmod(join(tree, "tmp"), 0o1777);
}

const files = {
  "etc/passwd": "root:x:0:0::/:/nonexistent\nnode:x:1000:1000::/:/nonexistent\n",
  "etc/group": "root:x:0:\nnode:x:1000:\n",
  "etc/nsswitch.conf": "hosts: files dns\n",
};

function copyInto(tree: string, from: string, to: string): void {
  const place = join(tree, to);
  mkdirSync(dirname(place), { recursive: true });
  copyFileSync(realpathSync(from), place);
}

async function addNpm(tree: string, folder: string): Promise<void> {
  const prefix = join(folder, "npm");
  const flags = ["--no-save", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
  await run("npm", ["install", ...flags, "--prefix", prefix, `npm@${npmVersion}`], { timeoutMs: 180_000 });
  cpSync(join(prefix, "node_modules/npm"), join(tree, "usr/local/lib/node_modules/npm"), { recursive: true });
  if (existsSync(certificates)) {
    mkdirSync(dirname(join(tree, certificates)), { recursive: true });
    writeFileSync(join(tree, certificates), readFileSync(certificates));
  }
}

async function make(builder: Builder, image: { folder: string; tag: string; settings: string }): Promise<void> {
  const dockerfile = join(image.folder, "Dockerfile");
  writeFileSync(dockerfile, `FROM scratch\nCOPY . /\nENV PATH=/usr/local/bin ${image.settings}\n`);
  await builder.build({ tag: image.tag, context: join(image.folder, "root"), dockerfile });
}
