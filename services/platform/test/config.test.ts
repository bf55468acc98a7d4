import assert from "node:assert/strict";
import { test } from "node:test";
import { z } from "zod";
import { ConfigError, databaseUrl, loadConfig, platformConfig } from "#platform/config.ts";

const env = { GRPC_PORT: "50051", HTTP_PORT: "8081", PAGE_TOKEN_SECRET: "x".repeat(32), TOKEN_ISSUERS: "none" };

test("defaults, and an empty variable counts as not set", () => {
  const config = loadConfig(platformConfig, { ...env, LOG_LEVEL: "", DRAIN_TIMEOUT_MS: "250" });
  assert.equal(config.GRPC_PORT, 50051);
  assert.equal(config.LOG_LEVEL, "info");
  assert.deepEqual(config.OTEL_TRACES_EXPORTER, ["none"]);
  assert.equal(config.DRAIN_TIMEOUT_MS, 250);
});

test("a service's own variables come along", () => {
  const config = loadConfig({ ...platformConfig, ORDERS_ADDRESS: z.string() }, { ...env, ORDERS_ADDRESS: "orders:1" });
  assert.equal(config.ORDERS_ADDRESS, "orders:1");
});

test("all that is wrong is told at once, without the values", () => {
  const wrong = { GRPC_PORT: "70000", PAGE_TOKEN_SECRET: "short-secret", LOG_LEVEL: "loud" };
  assert.throws(
    () => loadConfig(platformConfig, wrong),
    (error) => {
      assert.ok(error instanceof ConfigError);
      for (const name of ["GRPC_PORT", "HTTP_PORT: is not set", "PAGE_TOKEN_SECRET", "LOG_LEVEL"]) {
        assert.ok(error.message.includes(name), `${name} is missing in: ${error.message}`);
      }
      assert.ok(!/short-secret|70000|loud/.test(error.message), error.message);
      return true;
    },
  );
});

test("whether anybody may call has to be said", () => {
  const { TOKEN_ISSUERS: _, ...unsaid } = env;
  const message =
    "The configuration is not usable:\n  TOKEN_ISSUERS: is not set: it names whose access tokens are taken; none asks nobody who calls";
  assert.throws(() => loadConfig(platformConfig, unsaid), { message });
  assert.equal(loadConfig(platformConfig, env).TOKEN_ISSUERS, undefined);
  const issuers = '[{"issuer":"https://login.example.com","audience":"ordermesh"}]';
  const named = loadConfig(platformConfig, { ...env, TOKEN_ISSUERS: issuers });
  assert.equal(named.TOKEN_ISSUERS?.[0]?.issuer, "https://login.example.com");
  assert.throws(() => loadConfig(platformConfig, { ...env, TOKEN_ISSUERS: "nobody" }), /TOKEN_ISSUERS: is no JSON/);
});

test("what is wrong with variables together is told with all else", () => {
  const together = ({ NAME: name, FILE: file }: Readonly<Record<string, string>>) =>
    name || file ? [] : ["NAME or FILE: is not set"];
  const shape = { ...platformConfig, NAME: z.string().optional() };
  assert.throws(
    () => loadConfig(shape, {}, together),
    /\n {2}GRPC_PORT: is not set\n.*\n {2}NAME or FILE: is not set$/s,
  );
  assert.throws(() => loadConfig(shape, env, together), /not usable:\n {2}NAME or FILE: is not set$/);
  assert.equal(loadConfig(shape, { ...env, FILE: "there" }, together).GRPC_PORT, 50051);
});

test("what is wrong is said in words of whoever sets variables", () => {
  const shape = { ...platformConfig, DATABASE_URL: databaseUrl };
  const cases: readonly [name: string, text: string, said: string][] = [
    ["GRPC_PORT", "fifty", "must be a number"],
    ["GRPC_PORT", "1.5", "must be a whole number"],
    ["GRPC_PORT", "70000", "must be at most 65535"],
    ["MAX_INFLIGHT", "0", "must be at least 1"],
    ["PAGE_TOKEN_SECRET", "short", "must be at least 32 characters"],
    ["LOG_LEVEL", "loud", "must be one of error, warn, info, debug"],
    ["OTEL_EXPORTER_OTLP_ENDPOINT", "collector", "must be a URL, for example http://127.0.0.1:8086"],
    [
      "DATABASE_URL",
      "orders",
      "is not postgres://role:password@host:port/database; in the password write @ as %40, / as %2F, : as %3A, % as %25",
    ],
  ];
  const usable = { ...env, DATABASE_URL: "postgres://orders@db:5432/orders" };
  for (const [name, text, said] of cases) {
    assert.throws(() => loadConfig(shape, { ...usable, [name]: text }), {
      message: `The configuration is not usable:\n  ${name}: ${said}`,
    });
  }
});

test("spans go to several exporters, or to none; anything else is refused in one sentence", () => {
  const exportersOf = (OTEL_TRACES_EXPORTER: string) =>
    loadConfig(platformConfig, { ...env, OTEL_TRACES_EXPORTER }).OTEL_TRACES_EXPORTER;
  assert.deepEqual(exportersOf("zipkin, jaeger,otlp,console,jaeger"), ["jaeger", "otlp", "zipkin", "console"]);
  assert.deepEqual(exportersOf("none"), ["none"]);
  for (const wrong of ["jager", "jaeger,none", "jaeger,", "Jaeger", "none,none,otlp"]) {
    assert.throws(() => exportersOf(wrong), {
      message:
        "The configuration is not usable:\n  OTEL_TRACES_EXPORTER: must be one or more of jaeger, otlp, zipkin and console with commas between, or none alone",
    });
  }
});

test("what pg's next version means something weaker by is said as what this one means", () => {
  const shape = { DATABASE_URL: databaseUrl };
  const url = (query: string) => `postgres://orders:p%40ss@db:5432/orders${query}`;
  const cases: readonly [given: string, used: string][] = [
    ["", ""],
    ["?sslmode=require", "?sslmode=verify-full"],
    ["?sslmode=prefer&sslrootcert=/ca.pem", "?sslmode=verify-full&sslrootcert=/ca.pem"],
    ["?sslrootcert=/ca.pem&sslmode=verify-ca", "?sslrootcert=/ca.pem&sslmode=verify-full"],
    ["?sslmode=no-verify", "?sslmode=no-verify"],
    ["?sslmode=disable", "?sslmode=disable"],
    ["?uselibpqcompat=true&sslmode=require", "?uselibpqcompat=true&sslmode=require"],
    ["?sslmode=require&uselibpqcompat=true", "?sslmode=require&uselibpqcompat=true"],
  ];
  for (const [given, used] of cases) {
    assert.deepEqual(loadConfig(shape, { DATABASE_URL: url(given) }), { DATABASE_URL: url(used) }, given);
  }
});
