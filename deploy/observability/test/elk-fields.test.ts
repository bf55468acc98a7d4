import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Writable } from "node:stream";
import { describe, it } from "node:test";
import { EcsFlat } from "@elastic/ecs";
import { AuditStream } from "#platform/audit/audit-stream.ts";
import { withContext } from "#platform/context.ts";
import { createLogger } from "#platform/log/logger.ts";
import { root } from "../../command/checkout.ts";
import { fieldsOf, knownFields, mappingOf } from "./elk-fields.ts";

/** ECS's types that Elasticsearch's published jars lack, and what stands for them. */
const standIns: Record<string, string> = { match_only_text: "text", wildcard: "text|keyword" };
/** Ours, under a name that ECS has for its own. */
const additions = new Set([
  "log.offset",
  "log.repeated",
  "request.id",
  "server.admin.port",
  "server.grpc.port",
  "server.http.port",
]);

function flatten(value: object, path = ""): string[] {
  return Object.entries(value).flatMap(([name, child]) => {
    const full = path === "" ? name : `${path}.${name}`;
    return typeof child === "object" && child !== null && !Array.isArray(child) ? flatten(child, full) : [full];
  });
}

/** A piece of code, and the objects in the same file that it names: fields are often gathered before they are logged. */
function withDefinitions(piece: string, code: string): string {
  const named = [...new Set(piece.match(/\b[a-z]\w*\b/gi))];
  const objects = named.flatMap((name) => code.match(new RegExp(`\\bconst ${name} = \\{[^;]*?\\};`, "g")) ?? []);
  const further = objects.filter((object) => !piece.includes(object));
  return further.length > 0 ? withDefinitions([piece, ...further].join("\n"), code) : piece;
}

describe("the fields of log lines", () => {
  const ecs = EcsFlat as Readonly<Record<string, { readonly type: string } | undefined>>;

  it("are those of ECS, with its types", () => {
    for (const [name, type] of fieldsOf("ecs")) {
      if (additions.has(name)) continue;
      const definition = ecs[name];
      assert.ok(definition, `ECS has no ${name}`);
      const fits = (standIns[definition.type] ?? definition.type).split("|");
      assert.ok(fits.includes(type), `${name} is ${type}, in ECS ${definition.type}`);
    }
  });

  it("of our own are not ECS's, and their objects are strict", () => {
    for (const name of fieldsOf("own").keys()) assert.equal(ecs[name], undefined, name);
    for (const [name, object] of Object.entries(mappingOf("own").properties ?? {})) {
      assert.equal(object.dynamic, "strict", name);
    }
  });

  it("that the platform's logger writes are known", () => {
    const lines: string[] = [];
    const stream = new Writable({ write: (chunk, _, done) => done(void lines.push(String(chunk))) });
    const { logger } = createLogger({ name: "orders", level: "debug", format: "json", stream });
    withContext({ requestId: "r", traceId: "a".repeat(32), userId: "u" }, () => {
      logger.error("failed", { err: new Error("x", { cause: new Error("y") }), "order.id": "o" });
    });
    const known = knownFields();
    const written = flatten(JSON.parse(lines[0] ?? "{}") as object);
    assert.deepEqual(
      written.filter((name) => !known.has(name)),
      [],
    );
    for (const name of ["@timestamp", "log.level", "service.name", "trace.id", "error.stack_trace"]) {
      assert.ok(written.includes(name), name);
    }
  });

  it("that the audit log writes are known", async () => {
    const lines: string[] = [];
    const stream = new Writable({ write: (chunk, _, done) => done(void lines.push(String(chunk))) });
    const origin = { actor: "service:worker", requestId: "r", traceId: "a".repeat(32) };
    const event = { eventId: "e", time: new Date(), action: "payment.captured", orderId: "o", subject: "p" };
    await new AuditStream({ service: "payments", format: "json", stream }).write([
      { ...event, ...origin, details: {} },
    ]);
    const { "audit.details": _, ...line } = JSON.parse(lines[0] ?? "{}") as Record<string, unknown>;
    assert.ok(Object.keys(line).length > 10);
    for (const name of [...Object.keys(line), "audit.details"]) assert.ok(knownFields().has(name), name);
  });

  it("that the services' code names are known", () => {
    const known = knownFields();
    const unknown: string[] = [];
    for (const file of globSync("services/*/src/**/*.ts", { cwd: root, exclude: ["**/gen/**"] })) {
      const code = readFileSync(join(root, file), "utf8");
      for (const [call] of code.matchAll(/\blog(?:ger)?\??\.(?:error|warn|info|debug|log)\((?:[^;]|;(?!\n))*?\);/g)) {
        for (const [, name = ""] of withDefinitions(call, code).matchAll(/"([a-z_@]+(?:\.[a-z_]+)+)":/g)) {
          if (!known.has(name)) unknown.push(`${file}: ${name}`);
        }
      }
    }
    assert.deepEqual(unknown, []);
  });
});
