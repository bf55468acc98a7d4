// What one service takes every later one takes: the same thing has the same bounds all along its way through the contracts, or
// wider ones. A new field that is narrower fails here by its name, and so does one of which the table does not know what it is.
import assert from "node:assert/strict";
import { globSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import {
  create,
  type DescEnum,
  type DescField,
  type DescFile,
  type DescMessage,
  type DescService,
  getOption,
  hasOption,
  ScalarType,
  toBinary,
} from "@bufbuild/protobuf";
import { reflect, usedTypes } from "@bufbuild/protobuf/reflect";
import { type FieldRules, field as rulesOf } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import {
  BatchReserveStockResponseSchema,
  ReserveStockResponseSchema,
} from "#gen/shop/inventory/v1/inventory_service_pb.js";
import { AllocationSchema, MissingStockSchema } from "#gen/shop/inventory/v1/stock_pb.js";
import { ShipmentNewsSchema } from "#gen/shop/orders/v1/order_episode_service_pb.js";
import { loadConfig, platformConfig } from "#platform/config.ts";
import { newId } from "#platform/id.ts";
import { contractValidator, violationsOf } from "#platform/interceptors/validation.ts";
import { maxLocations, maxParts } from "../../../services/inventory/src/allocation.ts";
import { maxEvents } from "../../../services/orders/src/episode/order-event.ts";
import { requestId } from "../../../services/worker/src/activities/entry-key.ts";
import { steps } from "../../../services/worker/src/workflows/step-table.ts";

const generated = join(import.meta.dirname, "../../../services/platform/src/gen/shop");
const parts: (DescFile | DescService | DescEnum)[] = [];
for (const path of globSync("**/*_pb.js", { cwd: generated })) {
  parts.push(...Object.values<DescFile>(await import(pathToFileURL(join(generated, path)).href)));
}
const validator = contractValidator();

/** The fields of all that requests are or hold, as `orders.OrderLine.sku`. */
const fields = new Map<string, DescField>();
for (const { input } of parts.filter((part) => part.kind === "service").flatMap(({ methods }) => methods)) {
  for (const type of [input, ...usedTypes(input)]) if (type.kind === "message") addFields(type);
}

function addFields(type: DescMessage): void {
  // The parts of an address are looked at together.
  if (!type.typeName.startsWith("shop.") || type.typeName === "shop.type.v1.Address") return;
  for (const field of type.fields)
    fields.set(`${type.typeName.replace(/^shop\.(\w+)\.v1\./, "$1.")}.${field.name}`, field);
}

/** So many entries, whatever they are. */
interface Count {
  readonly entries: number;
}

type Value = string | bigint | Count | Readonly<Record<string, unknown>>;

/** Something that goes from service to service. */
interface Thing {
  /** Its extremes, which every field of it takes. */
  readonly takes: readonly Value[];
  /** What is just beyond: nobody takes it where it first comes in, or the extremes above are not the extremes. */
  readonly refuses?: readonly Value[];
  /** Where it first comes in. */
  readonly from?: readonly string[];
  /** All others: fields by their full name, or all that have the name and are not elsewhere in this table. */
  readonly to: readonly string[];
}

const letters = (count: number) => "x".repeat(count);
const emoji = (count: number) => "\u{1f600}".repeat(count);
/** Each is one character of seven code points. */
const families = (count: number) => "\u{1f468}\u200d\u{1f469}\u200d\u{1f467}\u200d\u{1f466}".repeat(count);
const entries = (count: number): Count => ({ entries: count });
const id = newId();
const code = { takes: ["0", `A.-_${letters(60)}`], refuses: ["", letters(65), ".a"] };

const maxLines = 100;
const maxQuantity = 10_000;
const maxAmount = 1_000_000_000_000n;
const labels = [...Object.values(steps).map(({ label }) => label), "confirm"];
const parcelSteps = labels.map((label) => `${label}:${letters(64)}`);
const derivedIds = labels.map((step) => requestId({ orderId: id, locationId: letters(64), again: 2 ** 31 }, step));
const address = (length: (limit: number) => number, lines: number, more: object) => ({
  recipient: families(length(200)),
  lines: Array(lines).fill(families(length(200))),
  city: emoji(length(100)),
  country: "DE",
  ...more,
});
/** What shipping tells of a shipment, as the order's events name it. */
const news = ShipmentNewsSchema.values.filter(({ number }) => number > 0).map(({ localName }) => localName);
/** Of a saga's memory, which is JSON in UTF-8. */
const maxSagaBytes = 256 * 1024;
/** What a refusal may be called: an order remembers why it failed. */
const reasons = parts
  .filter((part) => part.kind === "enum" && part.name.endsWith("ErrorReason"))
  .flatMap((part) => (part as DescEnum).values.map(({ localName }) => localName));

const things: Readonly<Record<string, Thing>> = {
  sku: {
    ...code,
    from: ["orders.OrderLine.sku", "inventory.AdjustStockRequest.sku"],
    to: ["sku"],
  },
  location: { ...code, from: ["inventory.AdjustStockRequest.location_id"], to: ["location_id", "parcel_location_id"] },
  "id of ours": {
    takes: [id],
    to: [
      ...[
        "order_id",
        "customer_id",
        "payment_id",
        "source_payment_id",
        "refund_request_id",
        "shipment_id",
        "return_id",
      ],
      ...["saga_id", "episode_id", "episode_ids"],
    ],
  },
  "request id": {
    takes: ["x", emoji(128), ...derivedIds],
    refuses: ["", letters(129)],
    from: ["orders.CreateOrderRequest.request_id", "orders.CancelOrderRequest.request_id"],
    to: ["request_id"],
  },
  "step of a parcel": { takes: [...labels, ...parcelSteps], to: ["step"] },
  "lines of an order": {
    takes: [entries(1), entries(maxLines)],
    refuses: [entries(0), entries(maxLines + 1)],
    from: ["orders.CreateOrderRequest.lines"],
    to: ["lines", "missing"],
  },
  "lines of an order as they were asked for, when they are others now": {
    takes: [entries(0), entries(maxLines)],
    to: ["asked"],
  },
  "quantity of a line": {
    takes: [1n, BigInt(maxQuantity)],
    refuses: [0n, BigInt(maxQuantity + 1)],
    from: ["orders.OrderLine.quantity"],
    to: ["quantity"],
  },
  "quantity of an article in a parcel: lines of the same article are one": {
    takes: [1n, BigInt(maxLines * maxQuantity)],
    to: ["shipping.ShipmentLine.quantity", "orders.OrderShipmentLine.quantity", "orders.MissingArticle.quantity"],
  },
  "which amendment of an order": { takes: [1n, 2_147_483_647n], to: ["number"] },
  "which amendment of an order, or none": { takes: [0n, 1n, 2_147_483_647n], to: ["amended", "generation"] },
  "which episode of an order, or none": { takes: [0n, 1n, 2_147_483_647n], to: ["fence"] },
  "the revision of an order": {
    takes: [0n, 1n, 2_147_483_647n],
    refuses: [-1n],
    from: ["orders.AmendOrderRequest.revision", "orders.CancelOrderLinesRequest.revision"],
    to: [],
  },
  "where nothing is to be changed": { takes: [entries(0), entries(maxLocations)], to: ["fixed_location_ids"] },
  "where parcels leave from that are not with the customer": {
    takes: [entries(0), entries(maxLocations)],
    to: ["sagas.EpisodeRecall.location_ids"],
  },
  "parcels of an order": { takes: [entries(0), entries(maxLocations)], to: ["shipments"] },
  "amount of money": {
    takes: [0n, maxAmount],
    refuses: [-1n, maxAmount + 1n],
    from: ["type.Money.amount"],
    to: [
      ...["SagaOrderLine.unit_price", "SagaOrderLine.amount", "EpisodeReturn.amount", "EpisodeExchange.credit"].map(
        (name) => `sagas.${name}`,
      ),
    ],
  },
  "what pays an order in exchange": { takes: [entries(0), 1n, maxAmount], to: ["credits"] },
  "what a card is charged for each parcel": { takes: [entries(0), 1n, maxAmount], to: ["parcels"] },
  "amount that a price changes by": {
    takes: [-maxAmount, 0n, maxAmount],
    refuses: [-maxAmount - 1n, maxAmount + 1n],
    from: ["type.SignedMoney.amount"],
    to: [],
  },
  "what a price changes by": {
    takes: [-maxAmount, 0n, maxAmount].map((amount) => ({ currency: "EUR", amount })),
    from: ["orders.PriceAdjustment.amount"],
    to: [],
  },
  "what changes the price of a line": {
    takes: [entries(0), entries(10)],
    refuses: [entries(11)],
    from: ["orders.OrderLine.adjustments"],
    to: [],
  },
  "what changes the price of an order": {
    takes: [entries(0), entries(20)],
    refuses: [entries(21)],
    from: ["CreateOrderRequest", "AmendOrderRequest", "RequestedExchange"].map((name) => `orders.${name}.adjustments`),
    to: [],
  },
  "what customers know an adjustment by": {
    takes: ["x", "VAT 19 %", emoji(60), families(60)],
    refuses: ["", " ", "\u200b", letters(61), families(61)],
    from: ["orders.PriceAdjustment.name"],
    to: [],
  },
  money: {
    takes: [0n, maxAmount].map((amount) => ({ currency: "EUR", amount })),
    from: ["orders.OrderLine.unit_price"],
    to: ["total", "orders.OrderShipment.amount", "withheld"],
  },
  "line of an order by its number": {
    takes: [1n, BigInt(maxLines)],
    refuses: [0n, BigInt(maxLines + 1)],
    from: [
      "orders.RequestReturnLine.line_number",
      "orders.ReceiveReturnLine.line_number",
      "orders.CancelledLine.line_number",
    ],
    to: [],
  },
  "how many of what came go back on the shelf": {
    takes: [0n, BigInt(maxQuantity)],
    from: ["orders.ReceiveReturnLine.restocked"],
    to: [],
  },
  "what goes back on the shelf": { takes: [entries(1), entries(maxLines)], to: ["parts"] },
  "what came back of an order": { takes: [entries(0), entries(20)], to: ["returns", "sagas.EpisodeOrder.labels"] },
  "what a customer is answered": {
    takes: ["x", emoji(500), families(500)],
    refuses: [letters(501), families(501)],
    from: ["RejectReturn", "ReceiveReturn", "GrantRefund"].map((call) => `orders.${call}Request.answer`),
    to: [],
  },
  "who granted a refund": { takes: ["", id, `key:${id}`, letters(256)], to: ["granted_by"] },
  "money that moves": {
    takes: [1n, maxAmount].map((amount) => ({ currency: "EUR", amount })),
    to: ["amount"],
  },
  currency: {
    takes: ["EUR", "JPY", "KWD"],
    refuses: ["XXX", "XTS", "ZZZ"],
    from: ["type.Money.currency"],
    to: ["currency"],
  },
  address: {
    takes: [address((limit) => limit, 3, { postalCode: emoji(20) }), address(() => 1, 1, {})],
    from: ["orders.CreateOrderRequest.shipping_address"],
    to: ["shipping_address", "address"],
  },
  "card token": {
    takes: ["tok_x", `tok_${letters(64)}`, `pm_${letters(64)}`],
    refuses: [`tok_${letters(65)}`, "4111111111111111"],
    from: ["orders.CreateOrderRequest.card_token", "orders.AmendOrderRequest.card_token"],
    to: ["card_token"],
  },
  "why an order is cancelled": {
    takes: ["x", emoji(500), families(500)],
    refuses: ["", letters(501), families(501), " ", "\u200b"],
    from: ["orders.CancelOrderRequest.reason", "orders.CancelOrderLinesRequest.reason"],
    to: ["sagas.CancelOrderSagaRequest.reason", "sagas.CancellationAccepted.reason"],
  },
  "what a customer is told": { takes: ["", emoji(500)], to: ["customer_message"] },
  "why somebody refused": {
    takes: [...reasons, "CANCELLED_BY_CUSTOMER", "SERVICE_UNAVAILABLE", "LOST_IN_TRANSIT"],
    to: [
      ...["orders.OrderFailure.reason", "orders.DecideExchangeRequest.failure"],
      "orders.ParkedOrderStep.reason",
      "orders.ListParkedOrdersRequest.reason",
      "orders.BeginParkedDecisionsRequest.reason",
      "sagas.ParkedStepFilter.reason",
      "orders.ReportShipmentRequest.reason",
      "orders.ReportReturnLabelRequest.reason",
      "sagas.ShipmentReported.reason",
    ],
  },
  "an operator's note": {
    takes: ["x", emoji(500), families(500)],
    refuses: [letters(501), families(501)],
    from: ["sagas.ResolveParkedStepRequest.note"],
    to: ["note"],
  },
  "tracking number": {
    takes: ["x", emoji(128)],
    refuses: ["", letters(129)],
    from: ["shipping.ReportTrackingEventRequest.tracking_number"],
    to: ["tracking_number"],
  },
  "where a label is": { takes: ["", letters(2_000)], to: ["orders.ReportReturnLabelRequest.label"] },
  "what became of a shipment": { takes: news, to: ["sagas.ShipmentReported.news"] },
  "what a saga remembers": {
    takes: ["{}", "x".repeat(maxSagaBytes)],
    refuses: ["", "x".repeat(maxSagaBytes + 1), emoji(maxSagaBytes / 4 + 1)],
    from: ["orders.SettleOrderRequest.saga"],
    to: ["sagas.EpisodeOrder.saga"],
  },
  "what happened to an order: those that it was claimed for, and a cancellation while it is carried": {
    takes: [entries(0), entries(maxEvents + 1)],
    to: ["events"],
  },
  "trace context": { takes: ["", `00-${"a".repeat(32)}-${"b".repeat(16)}-01`], to: ["traceparent", "traceparents"] },
  batch: { takes: [entries(1), entries(256)], to: ["requests", "reports"] },
  "trace contexts of a batch": { takes: [entries(0), entries(256)], to: ["traceparents"] },
  "orders of a workflow": { takes: [entries(1), entries(64)], to: ["orders", "episode_ids"] },
  page: { takes: [0n, 1n, 200n], to: ["page_size"] },
  "page token": { takes: ["", letters(1_024)], to: ["page_token"] },
  person: { takes: [id], to: ["person_id"] },
  "an endpoint of webhooks": { takes: [id], to: ["endpoint_id"] },
  "where an endpoint of webhooks is": {
    takes: ["https://a.example", `https://a.example/${letters(1_000)}`],
    refuses: ["", letters(1_025)],
    to: ["url"],
  },
  "what an endpoint of webhooks is told of": {
    takes: ["shop.*", `shop.${letters(121)}.*`],
    refuses: ["", "shop", "orders.*", `shop.${letters(122)}.*`],
    to: ["event_types"],
  },
  "the address of a login": {
    takes: ["a@b.co", `${letters(60)}@${letters(60)}.${letters(60)}.${letters(60)}.example`],
    refuses: ["", "a", `a@${letters(300)}.example`],
    from: ["identity.MailPasswordTokenRequest.email"],
    to: ["identity.LoginRequest.email"],
  },
  "the password of a login": {
    takes: ["x", emoji(256)],
    refuses: ["", letters(257)],
    from: ["identity.SetPasswordRequest.password"],
    to: [
      "identity.LoginRequest.password",
      ...["password", "new_password"].map((name) => `identity.ChangePasswordRequest.${name}`),
      ...["EnrollSecondFactor", "DisableSecondFactor", "ErasePerson"].map((call) => `identity.${call}Request.password`),
    ],
  },
};

/** What comes in at one place and goes to no other service; or is a choice of an enum. */
const alone = new Set([
  ...["audit.ListAuditEventsRequest.actor", "audit.ListAuditEventsRequest.action"],
  ...[
    "audit.ListAuditEventsRequest.subject",
    "orders.ListCustomersRequest.email",
    "orders.UpdateCustomerRequest.revision",
  ],
  ...["inventory.ReserveStockRequest.time_to_live", "inventory.AdjustStockRequest.delta"],
  ...["orders.SettleOrderRequest.retry_after", "orders.SettleOrderRequest.waits_for", "orders.ParkedOrderStep.error"],
  ...["ListParkedOrders", "BeginParkedDecisions"].map((call) => `orders.${call}Request.older_than`),
  "sagas.ParkedStepFilter.older_than",
  ...["Retry", "Resolve"].flatMap((verb) =>
    ["all", "per_second"].map((name) => `sagas.${verb}ParkedStepsRequest.${name}`),
  ),
  ...["inventory.AdjustStockRequest.reason", "payments.RefundPaymentRequest.reason"],
  ...["payments.ApproveRefundRequest.reason", "payments.RejectRefundRequest.reason"],
  ...["shipping.TrackingEvent.event_id", "shipping.TrackingEvent.place"],
  ...["given_name", "family_name", "email", "phone"].map((name) => `orders.CreateCustomerRequest.${name}`),
  ...["given_name", "family_name", "email", "phone"].map((name) => `orders.UpdateCustomerRequest.${name}`),
  ...["CreateApiKeyRequest.name", "CreateApiKeyRequest.lifetime", "RevokeApiKeyRequest.api_key_id"].map(
    (name) => `identity.${name}`,
  ),
  ...["CreateEndpointRequest.name", "ReplayDeliveriesRequest.delivery_id", "RotateSecretRequest.overlap"].map(
    (name) => `webhooks.${name}`,
  ),
  ...["SetPasswordRequest.token", "ExchangeApiKeyRequest.api_key", "ListPeopleRequest.email"].map(
    (name) => `identity.${name}`,
  ),
  ...["Login", "ConfirmSecondFactor", "DisableSecondFactor", "ErasePerson"].map(
    (call) => `identity.${call}Request.code`,
  ),
  "notifications.RetryNotificationsRequest.notification_ids",
  "orders.ListReviewsRequest.reason",
  "orders.GetOrderStatisticsRequest.by_article",
  ...["Refresh", "Logout", "LogoutEverywhere"].map((call) => `identity.${call}Request.refresh_token`),
]);

/** The fields that a thing's table names. */
function fieldsOf({ from = [], to }: Thing): [name: string, field: DescField][] {
  const elsewhere = new Set(Object.values(things).flatMap((thing) => [...(thing.from ?? []), ...thing.to]));
  return [...fields].filter(([name, { name: bare }]) =>
    to.includes(bare) ? !elsewhere.has(name) || from.includes(name) : to.includes(name) || from.includes(name),
  );
}

/** What is wrong with a value in a field; undefined when that is taken. */
function refusal(field: DescField, value: Value): string | undefined {
  const message = reflect(field.parent);
  const list = isCount(value) ? Array(value.entries).fill(sampleOf(field)) : [value];
  if (field.fieldKind === "list") for (const item of list) message.get(field).add(toItem(field, item));
  else message.set(field, toItem(field, value) as string);
  // What an entry has to be as a whole is no bound of the list.
  const isItem = field.fieldKind === "list" && field.listKind !== "message";
  const own = (path: string) =>
    path === field.name || path.startsWith(`${field.name}.`) || (isItem && path === `${field.name}[0]`);
  const violations = violationsOf(validator, field.parent, message.message);
  return violations.find((violation) => own(violation.field))?.description;
}

function isCount(value: Value): value is Count {
  return typeof value === "object" && "entries" in value;
}

function sampleOf(field: DescField): unknown {
  return field.fieldKind === "list" && field.listKind === "message" ? {} : id;
}

/** Numbers as the field has them, messages from their fields. */
function toItem(field: DescField, value: unknown): unknown {
  const isInt32 = field.scalar === ScalarType.INT32 || field.scalar === ScalarType.UINT32;
  if (typeof value === "bigint") return isInt32 ? Number(value) : value;
  if (!field.message || typeof value !== "object") return value;
  const message = reflect(field.message);
  for (const [name, part] of Object.entries(value as Record<string, unknown>)) {
    const inner = field.message.field[name];
    assert.ok(inner, `${field.message.typeName}.${name}`);
    if (inner.fieldKind === "list") for (const item of part as unknown[]) message.get(inner).add(item);
    else message.set(inner, toItem(inner, part) as string);
  }
  return message;
}

/** Whether a field's rules say more than that it is there, or which of an enum it is. */
function isBounded(field: DescField): boolean {
  if (field.enum || !hasOption(field, rulesOf)) return false;
  const { type, cel }: FieldRules = getOption(field, rulesOf);
  return type.case !== undefined || cel.length > 0;
}

function shown(value: Value): string {
  const text =
    typeof value === "object"
      ? JSON.stringify(value, (_, part) => (typeof part === "bigint" ? `${part}` : part))
      : `${value}`;
  return text.length > 80 ? `${text.slice(0, 60)}… (${[...text].length} characters)` : text;
}

describe("the bounds of the contracts", () => {
  for (const [name, thing] of Object.entries(things)) {
    it(`meet: ${name}`, () => {
      const own = fieldsOf(thing);
      assert.ok(own.length > 0, "no field of it is left");
      for (const [fieldName, field] of own) {
        for (const value of thing.takes) {
          assert.equal(refusal(field, value), undefined, `${fieldName} refuses ${shown(value)}`);
        }
      }
    });

    it(`are as the table says where it comes in: ${name}`, () => {
      for (const source of thing.from ?? []) {
        const field = fields.get(source);
        assert.ok(field, `${source} is no field`);
        for (const value of thing.refuses ?? []) {
          assert.ok(refusal(field, value), `${source} takes ${shown(value)}: widen the table, and what comes after it`);
        }
      }
    });
  }

  it("let the answer about a whole batch fit in a message, however its orders are split", () => {
    const allocation = { sku: letters(64), locationId: letters(64), quantity: BigInt(maxQuantity), status: 1 };
    const time = { seconds: 2n ** 33n, nanos: 999_000_000 };
    const reservation = {
      orderId: id,
      allocations: Array(maxParts).fill(allocation),
      expireTime: time,
      createTime: time,
    };
    const outcome = { case: "response", value: create(ReserveStockResponseSchema, { reservation }) } as const;
    const answer = create(BatchReserveStockResponseSchema, { outcomes: Array(256).fill({ outcome }) });
    const bytes = toBinary(BatchReserveStockResponseSchema, answer).length;
    const { MAX_MESSAGE_BYTES: most } = loadConfig({ MAX_MESSAGE_BYTES: platformConfig.MAX_MESSAGE_BYTES }, {});
    assert.ok(bytes <= most, `${bytes} bytes`);
    // Of an order of which something is missing both together are no more than there are parts of another one.
    const missing = create(MissingStockSchema, { sku: letters(64), quantity: BigInt(maxLines * maxQuantity) });
    const part = create(AllocationSchema, allocation);
    assert.ok(toBinary(MissingStockSchema, missing).length < toBinary(AllocationSchema, part).length);
  });

  it("are known of every field that has some", () => {
    const known = new Set(Object.values(things).flatMap((thing) => fieldsOf(thing).map(([name]) => name)));
    const unknown = [...fields].filter(([name, field]) => isBounded(field) && !known.has(name) && !alone.has(name));
    assert.deepEqual(
      unknown.map(([name]) => name),
      [],
      "what are they? Add them to the table",
    );
    assert.deepEqual(
      [...alone].filter((name) => !fields.has(name)),
      [],
      "they are no fields",
    );
  });
});
