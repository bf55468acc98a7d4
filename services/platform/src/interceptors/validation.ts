import { create, type DescMessage, type DescService, type Message } from "@bufbuild/protobuf";
import { pathToString } from "@bufbuild/protobuf/reflect";
import { createValidator, type Validator, type Violation } from "@bufbuild/protovalidate";
import { Code, ConnectError, type Interceptor, type StreamRequest } from "@connectrpc/connect";
import { BadRequestSchema } from "#gen/google/rpc/error_details_pb.js";

function describe(violation: Violation): { field: string; description: string; reason: string } {
  return { field: pathToString(violation.field), description: violation.message, reason: violation.ruleId };
}

/** Errors travel in headers, which are limited to some kilobytes; a list of a thousand entries can be wrong everywhere. */
const MAX_VIOLATIONS = 16;

function refusal(violations: Violation[]): ConnectError {
  const fieldViolations = violations.slice(0, MAX_VIOLATIONS).map(describe);
  const told = fieldViolations.map(({ field, description }) => `${field}: ${description}`).join("; ");
  const more = violations.length - fieldViolations.length;
  const message = more > 0 ? `${told}; and ${more} more` : told;
  const error = new ConnectError(message, Code.InvalidArgument);
  error.details = [{ desc: BadRequestSchema, value: { fieldViolations } }];
  return error;
}

function check(validator: Validator, schema: DescMessage, message: Message): void {
  const result = validator.validate(schema, message);
  if (result.kind === "invalid") throw refusal(result.violations);
  if (result.kind === "error") throw result.error;
}

async function* checked(validator: Validator, request: StreamRequest): AsyncGenerator<Message, void> {
  for await (const message of request.message) {
    check(validator, request.method.input, message);
    yield message;
  }
}

/**
 * Checks every request message against the rules in its proto. Refuses with INVALID_ARGUMENT and `google.rpc.BadRequest`,
 * which names the fields that are wrong.
 *
 * @param services whose rules are compiled now, so that a rule that cannot be compiled stops the start
 */
export function validationInterceptor(services: readonly DescService[]): Interceptor {
  const validator = createValidator();
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
