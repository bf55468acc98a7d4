// A request of each call as a caller might send it. The rules are asked about each, so that none is refused.
import {
  type DescField,
  type DescMessage,
  getOption,
  type JsonObject,
  type JsonValue,
  ScalarType,
} from "@bufbuild/protobuf";
import { field as fieldRules } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import type { Judge } from "./judge.ts";
import { isRequired, type Rules } from "./rules.ts";

const id = "01KB6Q2M7RZ8E4X0V5T9WNA3CD";

/** What fields of a name hold. */
const byName: Readonly<Record<string, JsonValue>> = {
  sku: "beans-1kg",
  location_id: "BER",
  tracking_number: "SIM123456789",
  email: "ada@example.com",
  code: "042195",
  phone: "+442079460000",
  given_name: "Ada",
  family_name: "Lovelace",
  recipient: "Ada Lovelace",
  lines: "12 St James's Square",
  city: "London",
  postal_code: "SW1Y 4JH",
  country: "GB",
  card_token: "tok_approve",
  amount: "1250",
  quantity: 2,
  page_size: 50,
  event_id: "event-1",
  action: "payment.captured",
  step: "capture:BER",
  url: "https://shop.example/hooks",
  event_types: "shop.orders.*",
};

/** What fields with one of the contract's own rules hold. */
const byRule: Readonly<Record<string, JsonValue>> = {
  id,
  request_id: "5f2b7c1e-8a43-4d0f-9b6e-2c1d7e9f0a35",
  code: "beans-1kg",
  currency: "EUR",
};

/** Fields that no rule asks for by itself, and without which a message says nothing. */
const telling: ReadonlySet<string> = new Set(["shop.orders.v1.AmendOrderRequest.lines"]);

const google: Readonly<Record<string, JsonValue>> = {
  "google.protobuf.Timestamp": "2026-11-30T12:00:00Z",
  "google.protobuf.Duration": "3600s",
};

/** What comes after another time. */
const later: Readonly<Record<string, JsonValue>> = { create_time_until: "2026-12-01T12:00:00Z" };

/** Makes examples of messages. */
export class Examples {
  readonly #rules: Rules;
  readonly #judge: Judge;

  constructor(rules: Rules, judge: Judge) {
    this.#rules = rules;
    this.#judge = judge;
  }

  /** A message with what it has to have, and with what callers usually say. @throws Error when the rules refuse it */
  of(message: DescMessage): JsonObject {
    const required = this.#judge.requiredFields(message);
    const chosen = message.fields.filter((field) => {
      if (field.oneof) return field === field.oneof.fields[0] && isRequired(field.oneof);
      const isTold = required.includes(field) || telling.has(`${message.typeName}.${field.name}`);
      return isTold || (field.message === undefined && byName[field.name] !== undefined);
    });
    const example = Object.fromEntries(chosen.map((field) => [field.jsonName, this.#value(field)]));
    this.#judge.approve(message, example);
    return example;
  }

  #value(field: DescField): JsonValue {
    const one = this.#one(field);
    return field.fieldKind === "list" ? [one] : one;
  }

  #one(field: DescField): JsonValue {
    if (field.message) return later[field.name] ?? google[field.message.typeName] ?? this.of(field.message);
    if (field.enum) return field.enum.values[1]?.name ?? "";
    const known = byName[field.name] ?? this.#byRule(field);
    if (known !== undefined) return field.scalar === ScalarType.INT64 ? String(known) : known;
    if (field.scalar === ScalarType.BOOL) return true;
    return field.scalar === ScalarType.STRING ? "as agreed" : 1;
  }

  #byRule(field: DescField): JsonValue | undefined {
    const rules = getOption(field, fieldRules);
    const items = rules.type.case === "repeated" ? rules.type.value.items : undefined;
    return this.#rules.namesOf(items ?? rules).map((name) => byRule[name])[0];
  }
}
