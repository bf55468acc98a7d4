// 10,000 card numbers through every field with text of every call of the whole stack: nothing keeps one.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { isMessage } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { BadRequestSchema } from "#gen/google/rpc/error_details_pb.js";
import { IdentityAdminService } from "#gen/shop/identity/v1/identity_admin_service_pb.js";
import { BulkCreateOrdersResponseSchema } from "#gen/shop/orders/v1/order_service_pb.js";
import { ReportTrackingEventsResponseSchema } from "#gen/shop/shipping/v1/shipping_service_pb.js";
import { mayLookLikeCard } from "#platform/interceptors/card-numbers.ts";
import { Collector } from "#testing/collector.ts";
import { until } from "#testing/until.ts";
import { databaseServices } from "../../../services/services.ts";
import { freePorts } from "../../stack/free-ports.ts";
import { Stack } from "../../stack/stack.ts";
import { patient } from "../../testing/processes.ts";
import { inDatabases, inHistories, isAudited, meant } from "./card-number-places.ts";
import { ContractCaller, each } from "./contract-caller.ts";
import { type ContractCall, contractCalls, requestWith, type TextField, textFieldsOf } from "./contract-fields.ts";
import { World } from "./contract-world.ts";
import { Numbers, ordinaryText, takesWords } from "./field-texts.ts";
import { type Hit, searchDatabase, searchWorkflows, Wanted } from "./number-search.ts";
import { Proofs } from "./proofs.ts";

const wantedCards = 10_000;
const callsAtOnce = 16;
/** So many entries in lists of requests, and in their lists; a refusal names sixteen fields at most. */
const lengths = [6, 2] as const;

/** Spans leave at once and are never too many; the log is as it is shipped. */
const environment = (collector: Collector) => ({
  all: {
    LOG_FORMAT: "json",
    OTEL_TRACES_EXPORTER: "otlp",
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_BSP_SCHEDULE_DELAY: "100",
    OTEL_BSP_MAX_QUEUE_SIZE: "100000",
    RATE_LIMIT_SENSITIVE: "off",
  },
  // Somebody else has to approve every refund, and may say why.
  payments: { REFUND_LIMIT_MAJOR_UNITS: "0" },
  // What is sealed has no number in it that could be found: here it has to be as plain as it may be. The one person who logs in has a
  // token for as long as this goes on.
  identity: { ACCESS_TOKEN_TTL_MS: "900000", PERSONAL_DATA: "plain" },
  orders: { PERSONAL_DATA: "plain" },
  shipping: { PERSONAL_DATA: "plain" },
  simulators: { PACKING_MS: "1500", CARRIER_TRANSIT_MS: "300" },
});

describe("card numbers in calls to the whole stack", () => {
  const lines: string[] = [];
  const canaries = new Numbers("harmless", 1);
  const cards = new Numbers("cards", 2);
  const inHeaders = new Numbers("cards", 3);
  let collector: Collector;
  let stack: Stack;
  let caller: ContractCaller;
  let proofs: Proofs;
  let world: World;
  let calls: ContractCall[];

  before(async () => {
    collector = await new Collector().open();
    const line = (_: string, text: string) => void lines.push(text);
    const ports = await freePorts();
    stack = await Stack.start({ ports, logLevel: "debug", environment: environment(collector), line });
    proofs = await Proofs.open(stack);
    caller = new ContractCaller(stack, proofs);
    world = await World.create(stack, proofs);
    calls = await contractCalls();
  });
  after(async () => {
    caller?.[Symbol.dispose]();
    proofs?.[Symbol.dispose]();
    world?.[Symbol.dispose]();
    await stack?.stop();
    await collector?.close();
  });

  async function search(numbers: Numbers): Promise<Hit[]> {
    const wanted = new Wanted(numbers.sent.keys());
    const databases = databaseServices.map((name) => searchDatabase(stack.databaseUrl(name, "postgres"), wanted));
    return (await Promise.all([...databases, searchWorkflows(stack.blueprint, wanted)])).flat();
  }

  test("would be found: numbers that no card has are kept wherever people may write", async () => {
    for (const call of calls) {
      const { ids, values = {} } = await world.prepare(call);
      const text = (field: TextField) =>
        takesWords(field) ? canaries.text(call, field) : ordinaryText(call, field, ids);
      const request = requestWith(call.method.input, { lengths: [1, 1], values, text }).message;
      await failureOf(caller.call(call, request, headersOf(canaries)));
      if (call.method === IdentityAdminService.method.replaceSigningKeys) await proofs.renew();
    }
    const allFound = async () => {
      const hits = await search(canaries);
      const places = (isHistory: boolean) =>
        hits.filter(({ place }) => place.startsWith("history.") === isHistory).map((hit) => canaries.placeOf(hit));
      assert.deepEqual([...inDatabases.filter(notIn(places(false))), ...inHistories.filter(notIn(places(true)))], []);
      return true;
    };
    await until(allFound, "all canaries", { ...patient, everyMs: 500 });
  });

  test("are refused in every field, with its name and without the number", async () => {
    const wrong: string[] = [];
    const send = async ({ call, field }: { call: ContractCall; field: TextField }) => {
      const places: string[] = [];
      const text = (each: TextField, at: string) => {
        if (each.path !== field.path) return ordinaryText(call, each, world.ids);
        places.push(at);
        return cards.text(call, each);
      };
      const request = requestWith(call.method.input, { lengths, wanted: field, text }).message;
      const error = await failureOf(caller.call(call, request, headersOf(inHeaders)));
      // A repetition finds the row of the first call, which the database then says.
      if (field.field.name === "request_id") await failureOf(caller.call(call, request, headersOf(inHeaders)));
      if (!mayLookLikeCard(field.field) && !isRefusalOf(places, error)) {
        wrong.push(`${call.method.name} ${field.path}: ${error?.message ?? "taken"}`);
      }
    };
    const fields = calls.flatMap((call) => textFieldsOf(call.method.input).map((field) => ({ call, field })));
    assert.ok(fields.length > 200, `${fields.length} fields`);
    while (cards.sent.size < wantedCards) await each(fields, callsAtOnce, send);
    assert.deepEqual(wrong, []);
  });

  test("are in no table and in no workflow's history, except in fields for numbers of others", async () => {
    const hits = await search(cards);
    const nameOf = ({ digits }: Hit) => cards.sent.get(digits)?.meant ?? "";
    const kept = hits.filter((hit) => !meant[nameOf(hit)]?.test(hit.place));
    assert.deepEqual([...new Set(kept.map((hit) => `${cards.placeOf(hit)} in ${hit.place}`))], []);
    assert.deepEqual([...new Set(hits.map(nameOf))].sort(), Object.keys(meant).sort());
    assert.deepEqual(await search(inHeaders), []);
  });

  test("are in no line of a log and in no span", async () => {
    // What they have not said yet, they say at their end.
    await stack.stop();
    const bodies = collector.batches.map(({ body }) => body.toString());
    const spans = bodies.reduce((sum, body) => sum + body.split("rpc.method").length - 1, 0);
    assert.ok(spans >= caller.calls, `${spans} spans of ${caller.calls} calls`);
    for (const [name, texts] of Object.entries({ log: lines, spans: bodies })) {
      const found = (numbers: Numbers) => {
        const wanted = new Wanted(numbers.sent.keys());
        const told = texts.flatMap((text) => wanted.in(text).map((digits) => ({ text, to: numbers.sent.get(digits) })));
        return told
          .filter(({ text, to }) => !isAudited(text, to?.meant))
          .map(({ text, to }) => `${to?.place}: ${text}`);
      };
      assert.ok(found(canaries).some(isOfBaggage), `the search finds nothing in the ${name}`);
      assert.deepEqual([...found(cards), ...found(inHeaders)], [], name);
    }
  });
});

function isOfBaggage(hit: string): boolean {
  return hit.startsWith("baggage: ");
}

function notIn(places: readonly (string | undefined)[]): (place: string) => boolean {
  return (place) => !places.includes(place);
}

function headersOf(numbers: Numbers): Record<string, string> {
  return { "x-request-id": numbers.digits("x-request-id"), baggage: `user.id=${numbers.digits("baggage")}` };
}

function failureOf(answer: Promise<unknown>): Promise<ConnectError | undefined> {
  return answer.then(refusalOfEntries, (error: unknown) => ConnectError.from(error));
}

/** What entries that are judged each for itself were refused for, as a refused call says it. */
function refusalOfEntries(answer: unknown): ConnectError | undefined {
  const ofOrders = isMessage(answer, BulkCreateOrdersResponseSchema) ? answer.outcomes : [];
  const ofReports = isMessage(answer, ReportTrackingEventsResponseSchema) ? answer.outcomes : [];
  const failures = [...ofOrders, ...ofReports].flatMap(({ outcome }) =>
    outcome.case === "failure" ? outcome.value : [],
  );
  const fieldViolations = failures.flatMap((failure) => failure.fieldViolations);
  const message = failures.map((failure) => failure.message).join("; ");
  const code = failures.find((failure) => failure.code !== Code.InvalidArgument)?.code ?? Code.InvalidArgument;
  const details = [{ desc: BadRequestSchema, value: { fieldViolations } }];
  return failures.length > 0 ? new ConnectError(message, code, undefined, details) : undefined;
}

/** A field as callers who speak JSON spell it. */
function inJson(place: string): string {
  return place.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

/** Whether a call was refused for each of these fields, and the refusal shows no digit of a number. */
function isRefusalOf(places: readonly string[], error: ConnectError | undefined): boolean {
  if (error?.code !== Code.InvalidArgument) return false;
  const violations = error.findDetails(BadRequestSchema).flatMap(({ fieldViolations }) => fieldViolations);
  const named = violations.map(({ field }) => field);
  const isNamed = (place: string) => named.includes(place) || named.includes(inJson(place));
  return places.every(isNamed) && !/\d{5}/.test(error.message);
}
