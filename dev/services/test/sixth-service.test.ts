// What happens when somebody adds a service: an entry in services.json, in a copy of this repository, and nothing else.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { readServices } from "../../../services/services.ts";
import { fullEnvironment } from "../../config.ts";
import { copyRepository } from "../../tools/copy.ts";
import type { Enumerated } from "./enumerate.ts";
import { places } from "./places.ts";

const another = {
  grpc: 50060,
  http: 8090,
  database: true,
  books: true,
  packages: ["shop.returns.v1", "shop.audit.v1"],
};
const repository = await copyRepository();
const copy = repository.folder;
after(() => repository[Symbol.asyncDispose]());

before(async () => {
  const file = join(copy, "services/services.json");
  const present = JSON.parse(await readFile(file, "utf8")) as object;
  await writeFile(file, JSON.stringify({ ...present, returns: another }));
});

/** What a script of the copy answers. On standard error it may say that a tool is being built, which takes its time. */
async function ask(script: string, ...args: string[]): Promise<string> {
  const options = { cwd: copy, env: fullEnvironment(), timeout: 180_000 };
  return (await promisify(execFile)(process.execPath, [join(copy, script), ...args], options)).stdout;
}

describe("another service, by its entry alone", () => {
  let said: Enumerated;
  before(async () => {
    said = JSON.parse(await ask("dev/services/test/enumerate.ts", copy, "shop.returns.v1", "shop.audit.v1"));
  });

  it("is a component of the stack, with its ports, its database and its address for others", () => {
    assert.deepEqual(said.components.slice(-2), ["simulators", "returns"]);
    assert.deepEqual(said.ports, [
      { port: 50060, use: "returns, gRPC" },
      { port: 8090, use: "returns, HTTP" },
    ]);
    assert.deepEqual(said.command, ["services/returns/src/main.ts"]);
    assert.equal(said.environment.RETURNS_ADDRESS, "127.0.0.1:50060");
    assert.match(said.environment.DATABASE_URL ?? "", /^postgres:\/\/returns:[\w-]+@127\.0\.0\.1:55432\/returns$/);
    assert.match(said.migrations, /"returns":"postgres:\/\/returns_owner:/);
    assert.equal(said.environment.TEMPORAL_ADDRESS, undefined);
  });

  it("is in the help of npm start and in the image's", async () => {
    assert.match(said.help, /PostgreSQL, Temporal, nine services and the worker/);
    assert.match(
      said.help,
      /shipping 50054\/8084, identity 50056\/8086, notifications 50058\/8088, webhooks 50059\/8089, simulators 50057\/8087, returns 50060\/8090,\nworker 50055\/8085; PostgreSQL 55432;/,
    );
    assert.match(
      await ask("deploy/image/run.ts", "--help"),
      /shipping \| worker \| identity \| notifications \| webhooks \| simulators \| returns {4}the service, until SIGTERM/,
    );
  });

  it("gets its secrets, and its values in the cluster test", () => {
    const own = said.secrets.filter((name) => name.includes("returns"));
    const roles = ["", "-owner", "-reader"].map((role) => `ordermesh-returns-database${role}`);
    assert.deepEqual(own, [...roles, "ordermesh-returns"]);
    assert.ok(said.clusterValues.includes("returns"));
  });

  it("is asked for the calls of its packages", () => {
    const [returns, audit] = said.servers;
    assert.deepEqual(returns, ["returns"]);
    const before = ["orders", "payments", "inventory", "shipping", "identity", "notifications", "webhooks"];
    assert.deepEqual(audit, [...before, "returns"]);
  });

  it("is a resource of Tilt's that waits for its migrations, with its ports", () => {
    assert.deepEqual(said.tilt, { "returns-migration": ["postgres"], returns: ["returns-migration"] });
    for (const port of [50060, 8090]) assert.ok(said.forwarded.includes(port), String(port));
  });

  it("is missed by every place that cannot read the file, with what to do", async () => {
    const services = Object.entries(
      readServices(JSON.parse(await readFile(join(copy, "services/services.json"), "utf8"))),
    );
    const checkout = { root: copy, services: services.map(([name, facts]) => ({ name, ...facts })) };
    const all = places.map((place) => [place.path, place.mistakes(checkout)] as const);
    const silent = all.filter(([, mistakes]) => mistakes.length === 0).map(([path]) => path);
    // Which of its ports are forwarded and which calls are shown is its author's choice.
    assert.deepEqual(silent, ["skaffold.yaml", "docs"]);
    for (const sentence of [
      "services: write services/returns/src/main.ts",
      "proto: write a service of the package shop.returns.v1",
      'charts/ordermesh/Chart.yaml: add the dependency { name: returns, version: …, repository: "" }',
      "charts/ordermesh/values.yaml: add returns with ports: { grpc: 50060, http: 8090 }",
      "deploy/values/local.yaml: say what returns has here, as of its neighbours",
      "deploy/infrastructure/local/secrets.yaml: add database-url to the Secret ordermesh-returns",
      "deploy/infrastructure/local/secrets.yaml: add a key of returns to the Secret ordermesh-service-keys, and its public half",
      "deploy/infrastructure/resources/postgres.yaml: add the role returns_owner",
      "deploy/infrastructure/resources/postgres.yaml: add the role returns_reader",
      'charts/ordermesh/templates/books.yaml: does not say "list "orders" "payments" "inventory" "shipping" "returns""',
      'docs/runbooks/books-unbalanced.md: does not say "for port in 50051 50052 50053 50054 50060; do"',
    ]) {
      assert.ok(
        all.some(([path, mistakes]) => mistakes.some((mistake) => `${path}: ${mistake}` === sentence)),
        sentence,
      );
    }
  });

  it("is missed by the compiler where its author has to know something about it", async () => {
    const errors = await repository.compilerErrors();
    assert.ok(
      errors.some((line) => line.startsWith("services/books/src/balance/audit.ts")),
      errors.join("\n"),
    );
    for (const line of errors) assert.match(line, /'?returns'?/);
  });
});
