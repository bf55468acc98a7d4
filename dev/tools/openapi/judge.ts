import {
  create,
  type DescField,
  type DescMessage,
  fromJson,
  type JsonObject,
  type Message,
  type Registry,
} from "@bufbuild/protobuf";
import { createValidator, type Validator } from "@bufbuild/protovalidate";

/** Asks the rules themselves what a schema or an example has to be, as the services do. */
export class Judge {
  readonly #validator: Validator;

  constructor(registry: Registry) {
    this.#validator = createValidator({ registry });
  }

  #violations(type: DescMessage, message: Message) {
    const { kind, error, violations = [] } = this.#validator.validate(type, message);
    if (kind === "error") throw error;
    return violations;
  }

  /** The fields without which a message is refused, whatever else it has. */
  requiredFields(type: DescMessage): DescField[] {
    const wrong = this.#violations(type, create(type)).map(({ field: [first, ...more] }) =>
      more.length === 0 ? first : undefined,
    );
    return type.fields.filter((field) => wrong.includes(field));
  }

  /** @throws Error when the rules refuse an example */
  approve(type: DescMessage, example: JsonObject): void {
    const wrong = this.#violations(type, fromJson(type, example)).map((violation) => String(violation));
    if (wrong.length > 0) {
      throw new Error(
        `the example of ${type.typeName} breaks the rules; mend dev/tools/openapi/examples.ts: ${wrong.join("; ")}`,
      );
    }
  }
}
