// Every request message of every service, on every face, with values that no well-meaning caller sends: a clear refusal or the right
// answer, never an error of ours, and a refused call changes nothing.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { fromBinary, fromJsonString, toJson } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import pg from "pg";
import { BulkCreateOrdersResponseSchema } from "#gen/shop/orders/v1/order_service_pb.js";
import { ReportTrackingEventsResponseSchema } from "#gen/shop/shipping/v1/shipping_service_pb.js";
import { databaseServices } from "../../../services/services.ts";
import { freePorts } from "../../stack/free-ports.ts";
import { Stack } from "../../stack/stack.ts";
import { each } from "./contract-caller.ts";
import { type ContractCall, contractCalls, requestWith, type TextField } from "./contract-fields.ts";
import { World } from "./contract-world.ts";
import { ordinaryText } from "./field-texts.ts";
import { type Attack, Attacks } from "./hostile-values.ts";
import { Proofs } from "./proofs.ts";
import { type Outcome, RawCaller, type RawFace, rawFaces } from "./raw-caller.ts";

const callsAtOnce = 48;
/** How often a call is sent while it is told that who serves it is away: statements that a busy machine is too slow for say so too. */
const sendings = 4;
/** What is no caller's fault. That a service is away is none either: here none is, or not for long. */
const faults = new Set<number>([
  ...[
    Code.Unknown,
    Code.Internal,
    Code.DataLoss,
    Code.Unimplemented,
    Code.DeadlineExceeded,
    Code.Canceled,
    Code.Unavailable,
  ],
]);
const marks = /hostile-\d+-/g;
/** What the loops of a service say when the database has no time for them, whatever callers send. */
const ofABusyMachine = /connection timeout|statement timeout/;

interface Shot {
  readonly call: ContractCall;
  readonly face: RawFace;
  readonly attack: Attack;
  /** In its request id, when the request has one. */
  readonly mark: string;
}

function nameOf({ call, face, attack }: Shot): string {
  return `${call.server} ${call.method.name} ${attack.what} (${face})`;
}

/** Answers in which each entry has an outcome of its own. */
const ofEntries = [BulkCreateOrdersResponseSchema, ReportTrackingEventsResponseSchema] as const;

/** Each order of a bulk, and each report, has an outcome of its own; one that failed stands for the call. */
function ofTheEntry({ call, face }: Shot, ofCall: Outcome): Outcome {
  const { answer } = ofCall;
  const schema = ofEntries.find((each) => each === call.method.output);
  if (!answer || !schema) return ofCall;
  const { outcomes } = face === "JSON" ? fromJsonString(schema, answer.toString()) : fromBinary(schema, answer);
  const { outcome } = [...outcomes].find((each) => each.outcome.case === "failure") ?? {};
  if (outcome?.case !== "failure") return ofCall;
  const { code, message, fieldViolations } = outcome.value;
  return { code, text: [message, ...fieldViolations.map(({ field }) => JSON.stringify(field))].join(" ") };
}

describe("hostile values in calls to the whole stack", () => {
  const lines: string[] = [];
  const wrong: string[] = [];
  const refused = new Set<string>();
  const seen = new Set<string>();
  let stack: Stack;
  let caller: RawCaller;
  let proofs: Proofs;
  let world: World;
  let shots: Shot[];
  let sent = 0;

  before(async () => {
    const line = (_: string, text: string) => void lines.push(text);
    const ports = await freePorts();
    stack = await Stack.start({
      ports,
      logLevel: "warn",
      environment: {
        all: { LOG_FORMAT: "json", RATE_LIMIT_SENSITIVE: "off" },
        identity: { ACCESS_TOKEN_TTL_MS: "900000" },
      },
      line,
    });
    proofs = await Proofs.open(stack);
    caller = new RawCaller(stack, proofs);
    world = await World.create(stack, proofs);
    // What several processes serve is the same code.
    const calls = new Map((await contractCalls()).map((call) => [call.method, call]));
    const ofCalls = [...calls.values()].flatMap((call) => shotsAt(call).map((shot, order) => ({ shot, order })));
    // One of each call after the other: every process has something to do.
    shots = ofCalls.sort((one, other) => one.order - other.order).map(({ shot }) => shot);
  });
  after(async () => {
    caller?.[Symbol.dispose]();
    proofs?.[Symbol.dispose]();
    world?.[Symbol.dispose]();
    await stack?.stop();
  });

  function shotsAt(call: ContractCall): Shot[] {
    const { input } = call.method;
    const text = (each: TextField) => {
      // An episode of an order that nobody knows ends with an error, and rightly.
      const carries = call.method.name === "StartEpisode" && each.field.name === "order_id";
      return carries ? world.ids.orderId : ordinaryText(call, each, world.ids);
    };
    const base = toJson(input, requestWith(input, { lengths: [1, 1], text }).message);
    const attacks = new Attacks(input, base, seen);
    const requestId = () => `hostile-${++sent}-`;
    const shot = (face: RawFace, attack: Attack) => ({ call, face, attack, mark: markOf(attack) });
    const inJson = attacks.all(requestId).filter(({ json }) => json !== undefined);
    const inBytes = attacks.all(requestId).filter(({ bytes }) => bytes !== undefined);
    // The faces that take bytes have turns: each gets each kind of value, at another field.
    return [...inJson.map((attack) => shot("JSON", attack)), ...inBytes.map((attack) => shot(nextFace(), attack))];
  }

  function nextFace(): RawFace {
    const faces = Object.keys(rawFaces).filter((face) => face !== "JSON") as RawFace[];
    return faces[sent++ % faces.length] ?? "gRPC";
  }

  /** What its sender comes to, who sends it again as every caller may: its request id is the same. */
  async function outcomeOf(shot: Shot): Promise<Outcome> {
    const { call, face, attack } = shot;
    const body = rawFaces[face] === "json" ? Buffer.from(attack.json ?? "") : (attack.bytes ?? Buffer.alloc(0));
    let outcome: Outcome = { code: Code.Unavailable, text: "" };
    for (let sending = 1; sending <= sendings && outcome.code === Code.Unavailable; sending += 1) {
      outcome = ofTheEntry(shot, await caller.send(call, face, body));
    }
    return outcome;
  }

  function judge(shot: Shot, { code, text }: Outcome): void {
    if (faults.has(code)) wrong.push(`${nameOf(shot)}: ${Code[code]} ${text.slice(0, 200)}`);
    if (code === Code.InvalidArgument && shot.mark) refused.add(shot.mark);
    const { refused: field } = shot.attack;
    if (field === undefined) return;
    if (code !== Code.InvalidArgument) wrong.push(`${nameOf(shot)}: taken, or refused as ${Code[code]}`);
    else if (shot.face === "JSON" && shot.call.method.methodKind === "unary" && !text.includes(`"${field}`)) {
      wrong.push(`${nameOf(shot)}: does not name ${field}: ${text.slice(0, 200)}`);
    }
  }

  test("are refused by the name of the field, or taken", async () => {
    assert.ok(shots.length > 3_000, `${shots.length} calls`);
    await each(shots, callsAtOnce, async (shot) => judge(shot, await outcomeOf(shot)));
    assert.deepEqual(wrong.slice(0, 40), [], `${wrong.length} of ${shots.length}`);
  });

  test("leave no row when the call was refused", async () => {
    assert.ok(refused.size > 500, `${refused.size} refused calls with a request id`);
    const found: string[] = [];
    for (const name of databaseServices) {
      const client = new pg.Client({ connectionString: stack.databaseUrl(name, "postgres") });
      await client.connect();
      const { rows } = await client.query(
        "select format('%I.%I', table_schema, table_name) as name from information_schema.tables where table_schema not in ('pg_catalog', 'information_schema') and table_type = 'BASE TABLE'",
      );
      for (const table of rows) {
        const all = await client.query(`select t::text as row from ${table.name} t where t::text like '%hostile-%'`);
        const kept = all.rows.flatMap(({ row }) => (row as string).match(marks) ?? []);
        found.push(...kept.filter((mark) => refused.has(mark)).map((mark) => `${name} ${table.name} ${mark}`));
      }
      await client.end();
    }
    assert.deepEqual(found, []);
  });

  test("leave no line at error", () => {
    const errors = lines.filter((line) => line.includes('"log.level":"error"') || line.includes("Failed to"));
    assert.deepEqual(
      errors
        .filter((line) => !ofABusyMachine.test(line))
        .map(shortened)
        .slice(0, 10),
      [],
    );
  });
});

/** A line without its stack. */
function shortened(line: string): string {
  const [said = line, cause = ""] = [...line.matchAll(/"message":"(.*?)(?<!\\)"/g)].map(([, text = ""]) => text);
  return `${said}: ${cause}`.slice(0, 300);
}

function markOf({ json, bytes }: Attack): string {
  const text = json ?? bytes?.toString("latin1") ?? "";
  return text.match(marks)?.[0] ?? "";
}
