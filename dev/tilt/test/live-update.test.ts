// What a developer's save does in a pod of `tilt up`, apart from the copying, which is Tilt's: sources are replaced below a
// Node that the Tiltfile's own entry point started, and the new ones serve.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { appendFile, cp, mkdir, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { testDatabase } from "#testing/postgres.ts";
import { until } from "#testing/until.ts";
import { root } from "../../../deploy/command/checkout.ts";
import { migrations } from "../../../services/inventory/src/migrations/list.ts";
import { executeTiltfile } from "./tilt.ts";

const app = await mkdtemp(join(tmpdir(), "ordermesh-live-"));
const children: ChildProcess[] = [];
after(async () => {
  for (const child of children) {
    const ended = once(child, "exit");
    if (child.exitCode === null && child.kill("SIGTERM")) await ended;
  }
  await rm(app, { recursive: true, force: true });
});

/** The folder /app of the image, with the dependencies of this one. */
async function layOut(): Promise<void> {
  await mkdir(join(app, "deploy"), { recursive: true });
  const folders = ["package.json", "services", "deploy/image"];
  for (const name of folders) await cp(join(root, name), join(app, name), { recursive: true });
  await symlink(join(root, "node_modules"), join(app, "node_modules"));
}

/** The command with which the Tiltfile's image starts. */
async function entryPoint(): Promise<string[]> {
  const calls = await executeTiltfile("kind-test");
  const contents = String(calls.find(({ name }) => name === "docker_build")?.kwargs.dockerfile_contents);
  const last = contents.split("\n").findLast((line) => line.startsWith("ENTRYPOINT "));
  const [program, ...args] = JSON.parse(last?.slice("ENTRYPOINT ".length) ?? "[]") as string[];
  assert.equal(program, "/usr/local/bin/node");
  return args.map((argument) => argument.replaceAll("/app/", `${app}/`));
}

test("a source that is replaced in a running pod serves within seconds", { timeout: 120_000 }, async (context) => {
  await using database = await testDatabase("inventory", { entities: [], migrations });
  await layOut();
  const env = {
    ...process.env,
    DATABASE_URL: database.url,
    PAGE_TOKEN_SECRET: "s".repeat(32),
    TOKEN_ISSUERS: "none",
    GRPC_PORT: "0",
    HTTP_PORT: "0",
    LOG_FORMAT: "json",
  };
  const child = spawn(process.execPath, [...(await entryPoint()), "inventory"], { cwd: app, env });
  children.push(child);
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (part) => (output += part));
  const prints = async (text: string, from = 0) => {
    const isOver = () => output.includes(text, from) || child.exitCode !== null;
    await until(isOver, `"${text}" in the output`, { deadlineMs: 60_000, everyMs: 20 });
    assert.equal(child.exitCode, null, output);
  };
  await prints("listening");
  const before = output.length;
  const start = performance.now();
  await appendFile(join(app, "services/inventory/src/main.ts"), '\nconsole.log("the new source runs");\n');
  await prints("the new source runs", before);
  await prints("listening", before);
  context.diagnostic(`ready again after ${Math.round(performance.now() - start)} ms`);
});
