import {
  create,
  createRegistry,
  type DescField,
  type DescMessage,
  type DescService,
  type Message,
} from "@bufbuild/protobuf";
import { type Path, pathToString } from "@bufbuild/protobuf/reflect";
import { createValidator, type Validator } from "@bufbuild/protovalidate";
import type { ConnectError, Interceptor, StreamRequest } from "@connectrpc/connect";
import { file_shop_type_v1_rules } from "#gen/shop/type/v1/rules_pb.js";
import { badRequest, type FieldViolation, refuseUnread } from "#platform/bad-request.ts";
import { withContext } from "#platform/context.ts";
import { isCardNumber } from "./card-numbers.ts";
import type { CallRequest } from "./compose.ts";
import { judgeEntries, ownEntries } from "./entries.ts";
import { isJson } from "./known-call.ts";
import { eachText, eachTime } from "./message-values.ts";
import { exceededLimit } from "./text-length.ts";
import { problemOfTime } from "./time-range.ts";

const cardNumber = {
  description: "must not hold the number of a payment card; pay with a card token",
  reason: "card_number",
};

const unstorable = {
  description: "must not hold the character U+0000, which no database stores",
  reason: "unstorable_character",
};

/** Errors travel in headers, which are limited to some kilobytes; a list of a thousand entries can be wrong everywhere. */
const maxViolations = 16;

/** The patterns of the protos by their text; there are some ten. */
const patterns = new Map<string, RegExp>();

/**
 * Judges as the validator's own engine, RE2, at an eighth of its cost. RE2 is for patterns that may take forever on some
 * text: ours stand in the protos, and a test reads them. See docs/decisions/0018-predefined-rules.md.
 */
function matches(pattern: string, text: string): boolean {
  let compiled = patterns.get(pattern);
  if (!compiled) {
    compiled = new RegExp(pattern, "u");
    patterns.set(pattern, compiled);
  }
  return compiled.test(text);
}

/** Judges messages by the rules of the contract, the predefined ones among them. */
export function contractValidator(): Validator {
  return createValidator({ registry: createRegistry(file_shop_type_v1_rules), regexMatch: matches });
}

/** The way to a field as a caller writes it: in JSON by the names that JSON has. */
function spelt(path: Path, json: boolean): string {
  return pathToString(
    json ? path.map((part) => (part.kind === "field" ? { ...part, name: part.jsonName } : part)) : path,
  );
}

/** What is wrong with the times of a message. */
function wrongTimes(schema: DescMessage, message: Message, json: boolean): FieldViolation[] {
  const wrong: FieldViolation[] = [];
  const elsewhere = ownEntries(schema);
  eachTime(schema, message, (time, field, path) => {
    if (elsewhere && path[0] === elsewhere) return;
    const description = problemOfTime(field, time);
    if (description) wrong.push({ field: spelt([...path], json), description, reason: "time_range" });
  });
  return wrong;
}

/**
 * What is wrong with a message, by the rules of its proto and by those for all times and all texts; empty when nothing is. Never says
 * anything of a value, which may be what must not be told, nor of entries that are judged each for itself.
 *
 * @param json whether fields are named as in JSON
 */
export function violationsOf(
  validator: Validator,
  schema: DescMessage,
  message: Message,
  json = false,
): FieldViolation[] {
  // The rules cannot be asked about times that are none.
  const times = wrongTimes(schema, message, json);
  if (times.length > 0) return times;
  const { violations = [], kind, error } = validator.validate(schema, message);
  if (kind === "error") throw error;
  const wrong = violations.map(({ field, message: description, ruleId: reason }) => {
    return { field: spelt(field, json), description, reason };
  });
  const obeys = wrong.length === 0;
  const elsewhere = ownEntries(schema);
  eachText(schema, message, (text, field, path) => {
    if (elsewhere && path[0] === elsewhere) return;
    // What is searched is bounded by the rules, which say how long a text may be.
    const found = tooLong(exceededLimit(field, text)) ?? (obeys ? unfit(field, text) : undefined);
    if (found) wrong.push({ field: spelt([...path], json), ...found });
  });
  return wrong;
}

function tooLong(limit: number | undefined): Omit<FieldViolation, "field"> | undefined {
  return limit === undefined
    ? undefined
    : { description: `must not have more than ${limit} characters`, reason: "string.characters" };
}

/** What no rule of a proto says. */
function unfit(field: DescField, text: string): Omit<FieldViolation, "field"> | undefined {
  if (text.includes("\u0000")) return unstorable;
  return isCardNumber(field, text) ? cardNumber : undefined;
}

function refusal(violations: readonly FieldViolation[]): ConnectError {
  const told = violations.slice(0, maxViolations);
  const text = told.map(({ field, description }) => `${field}: ${description}`).join("; ");
  const more = violations.length - told.length;
  return badRequest(more > 0 ? `${text}; and ${more} more` : text, told);
}

function check(validator: Validator, request: CallRequest, message: Message): void {
  const wrong = violationsOf(validator, request.method.input, message, isJson(request));
  if (wrong.length > 0) throw refusal(wrong);
}

/** What is wrong with each entry of a request whose entries are judged for themselves; undefined when it has none of these. */
function checkEntries(validator: Validator, request: CallRequest, message: Message) {
  const list = ownEntries(request.method.input);
  const json = isJson(request);
  return (
    list &&
    judgeEntries(list, message, (entry, index) => {
      const place = spelt([list, { kind: "list_sub", index }], json);
      const wrong = violationsOf(validator, list.message, entry, json);
      return wrong.length > 0
        ? refusal(wrong.map((each) => ({ ...each, field: `${place}.${each.field}` })))
        : undefined;
    })
  );
}

async function* checked(validator: Validator, request: StreamRequest): AsyncGenerator<Message, void> {
  try {
    for await (const message of request.message) {
      check(validator, request, message);
      yield message;
    }
  } catch (error) {
    // A stream is read only here.
    refuseUnread(error, request.method.input);
    throw error;
  }
}

/**
 * Checks every request message against the rules in its proto, for times that are none, numbers of payment cards, and what
 * cannot be stored. Refuses with INVALID_ARGUMENT and `google.rpc.BadRequest`, which names the fields that are wrong as the caller
 * spells them. Entries that are judged each for itself are refused in `RequestContext.refusedEntries`.
 *
 * @param services whose rules are compiled now, so that a rule that cannot be compiled stops the start
 */
export function validationInterceptor(services: readonly DescService[]): Interceptor {
  const validator = contractValidator();
  for (const { input } of services.flatMap((service) => service.methods)) {
    const result = validator.validate(input, create(input));
    if (result.kind === "error") throw result.error;
  }
  return (next) => (request) => {
    if (request.stream) return next({ ...request, message: checked(validator, request) });
    try {
      check(validator, request, request.message);
    } catch (error) {
      return Promise.reject(error);
    }
    const entries = checkEntries(validator, request, request.message);
    if (!entries) return next(request);
    return entries.then((refusedEntries) => withContext({ refusedEntries }, () => next(request)));
  };
}
