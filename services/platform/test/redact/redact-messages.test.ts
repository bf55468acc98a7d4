import assert from "node:assert/strict";
import { globSync } from "node:fs";
import { join } from "node:path";
import { Writable } from "node:stream";
import { before, describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import {
  type DescField,
  type DescFile,
  type DescMessage,
  type Message,
  ScalarType,
  toJsonString,
} from "@bufbuild/protobuf";
import { type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";
import { Code, ConnectError } from "@connectrpc/connect";
import { SpanStatusCode, trace } from "@opentelemetry/api";
import { createLogger } from "#platform/log/logger.ts";
import { passesLuhn } from "#platform/redact/card-number.ts";
import { annotateSpan, inSpan } from "#platform/trace/spans.ts";
import { keepSpans } from "#testing/kept-spans.ts";

const generated = join(import.meta.dirname, "../../src/gen/shop");
const separators = ["", " ", "-", "."];

/** Card numbers one after the other: sixteen digits, Visa and Mastercard in turn. */
function cards() {
  const made: string[] = [];
  const next = () => {
    const stem = `${made.length % 2 ? "5421" : "4716"}${String(made.length * 7919).padStart(11, "0")}`;
    const digits = stem + [..."0123456789"].find((check) => passesLuhn(stem + check));
    made.push(digits);
    return digits.replace(/(\d{4})(?=\d)/g, `$1${separators[made.length % separators.length]}`);
  };
  return { made, next };
}

/** Puts a card number into each field that takes text, down to the fifth level. */
function fill(message: ReflectMessage, next: () => string, depth = 5): void {
  for (const field of message.fields) {
    if (field.oneof && message.oneofCase(field.oneof)) continue;
    fillField(message, field, { next, depth });
  }
}

function fillField(message: ReflectMessage, field: DescField, how: { next: () => string; depth: number }): void {
  const { next, depth } = how;
  const made = (inner: DescMessage) => {
    const child = reflect(inner);
    fill(child, next, depth - 1);
    return child;
  };
  const isText = field.scalar === ScalarType.STRING;
  if (field.fieldKind === "scalar" && isText) message.set(field, next());
  if (field.fieldKind === "message" && depth > 0) message.set(field, made(field.message));
  if (field.fieldKind === "list" && isText) message.get(field).add(next());
  if (field.fieldKind === "list" && field.listKind === "message" && depth > 0) {
    message.get(field).add(made(field.message));
  }
  if (field.fieldKind === "map" && field.mapKey === ScalarType.STRING && isText) {
    message.get(field).set(next(), next());
  }
}

/** Which of the numbers can be read in the texts, however they are separated. */
function shownOf(made: readonly string[], texts: readonly string[]): string[] {
  const all = new Set(made);
  const runs = texts.flatMap((text) => text.replace(/(?<=\d)[ .-](?=\d)/g, "").match(/\d{16,}/g) ?? []);
  const windows = runs.flatMap((run) => Array.from({ length: run.length - 15 }, (_, at) => run.slice(at, at + 16)));
  return windows.filter((digits) => all.has(digits));
}

describe("messages of the contract in a log line", () => {
  const messages: DescMessage[] = [];
  before(async () => {
    for (const path of globSync("**/*_pb.js", { cwd: generated })) {
      const module = (await import(pathToFileURL(join(generated, path)).href)) as Record<string, unknown>;
      const file = Object.values(module).find((part) => (part as { kind?: string }).kind === "file") as DescFile;
      messages.push(...file.messages);
    }
  });

  it("show none of 10,000 card numbers, whichever field they are in", () => {
    const lines: string[] = [];
    const stream = new Writable({ write: (chunk, _, done) => done(void lines.push(String(chunk))) });
    const { logger } = createLogger({ name: "orders", level: "info", format: "json", stream });
    const { made, next } = cards();
    for (let round = 0; made.length < 10_000; round++) {
      for (const description of messages) {
        const message = reflect(description);
        fill(message, next);
        const shown: Message = message.message;
        // Each line of its own kind, so that none is left out.
        const kind = `${description.name}${"x".repeat(round)}`;
        logger.info(kind, { request: shown });
        logger.info(`${kind} with ${next()} in it`, { err: new Error(`${description.name} ${next()}`) });
      }
    }
    assert.ok(messages.length > 50, `${messages.length}`);
    assert.deepEqual(shownOf(made, lines), []);
    assert.ok(lines.length > messages.length);
  });

  it("leave none of 10,000 card numbers in a trace: attributes, events, status", async () => {
    const spans = await keepSpans();
    const texts: string[] = [];
    const { made, next } = cards();
    while (made.length < 10_000) {
      for (const description of messages) {
        const message = reflect(description);
        fill(message, next);
        const fields = toJsonString(description, message.message);
        const refusal = new ConnectError(fields, Code.Internal, undefined, undefined, new Error(fields));
        await inSpan("call", { [description.name]: fields, list: [next(), fields] }, async () => {
          annotateSpan({ "user.id": next(), "order.id": next() });
          trace.getActiveSpan()?.recordException(new Error(fields));
          trace.getActiveSpan()?.setStatus({ code: SpanStatusCode.ERROR, message: fields });
          await inSpan("failing", {}, () => Promise.reject(refusal)).catch(() => undefined);
        });
      }
      for (const { attributes, events, status } of spans.all())
        texts.push(JSON.stringify([attributes, events, status]));
      spans.reset();
    }
    await spans.stop();
    assert.deepEqual(shownOf(made, texts), []);
    assert.ok(texts.some((text) => text.includes("[card number]")));
  });
});
