import {
  create,
  createRegistry,
  type DescField,
  type DescMessage,
  type DescService,
  type Message,
} from "@bufbuild/protobuf";
import { pathToString } from "@bufbuild/protobuf/reflect";
import { createValidator, type Validator } from "@bufbuild/protovalidate";
import { Code, ConnectError, type Interceptor, type StreamRequest } from "@connectrpc/connect";
import { BadRequestSchema } from "#gen/google/rpc/error_details_pb.js";
import { file_shop_type_v1_rules } from "#gen/shop/type/v1/rules_pb.js";
import { isCardNumber } from "./card-numbers.ts";
import { eachText } from "./message-texts.ts";
import { exceededLimit } from "./text-length.ts";

/** What is wrong with a field; never with its value, which may be what must not be told. */
interface FieldViolation {
  readonly field: string;
  readonly description: string;
  readonly reason: string;
}

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

function refusal(violations: FieldViolation[]): ConnectError {
  const fieldViolations = violations.slice(0, maxViolations);
  const told = fieldViolations.map(({ field, description }) => `${field}: ${description}`).join("; ");
  const more = violations.length - fieldViolations.length;
  const message = more > 0 ? `${told}; and ${more} more` : told;
  const error = new ConnectError(message, Code.InvalidArgument);
  error.details = [{ desc: BadRequestSchema, value: { fieldViolations } }];
  return error;
}

/** What is wrong with a message, by the rules of its proto and by those for all texts; empty when nothing is. */
export function violationsOf(validator: Validator, schema: DescMessage, message: Message): FieldViolation[] {
  const { violations = [], kind, error } = validator.validate(schema, message);
  if (kind === "error") throw error;
  const wrong = violations.map(({ field, message: description, ruleId: reason }) => {
    return { field: pathToString(field), description, reason };
  });
  const obeys = wrong.length === 0;
  eachText(schema, message, (text, field, path) => {
    // What is searched is bounded by the rules, which say how long a text may be.
    const found = tooLong(exceededLimit(field, text)) ?? (obeys ? unfit(field, text) : undefined);
    if (found) wrong.push({ field: pathToString([...path]), ...found });
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

function check(validator: Validator, schema: DescMessage, message: Message): void {
  const wrong = violationsOf(validator, schema, message);
  if (wrong.length > 0) throw refusal(wrong);
}

async function* checked(validator: Validator, request: StreamRequest): AsyncGenerator<Message, void> {
  for await (const message of request.message) {
    check(validator, request.method.input, message);
    yield message;
  }
}

/**
 * Checks every request message against the rules in its proto, for numbers of payment cards, and for what cannot be stored. Refuses with
 * INVALID_ARGUMENT and `google.rpc.BadRequest`, which names the fields that are wrong.
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
      check(validator, request.method.input, request.message);
    } catch (error) {
      return Promise.reject(error);
    }
    return next(request);
  };
}
