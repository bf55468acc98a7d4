// Which fields of the contract refuse what, as callers see it, and that no pattern of the protos takes forever.
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { pathToFileURL } from "node:url";
import {
  create,
  createRegistry,
  type DescField,
  type DescFile,
  type DescMessage,
  type DescService,
  type Message,
  ScalarType,
} from "@bufbuild/protobuf";
import { pathToString, reflect, usedTypes } from "@bufbuild/protobuf/reflect";
import { createValidator } from "@bufbuild/protovalidate";
import { Code, ConnectError, type UnaryRequest } from "@connectrpc/connect";
import { type BadRequest_FieldViolation, BadRequestSchema } from "#gen/google/rpc/error_details_pb.js";
import { ReserveStockRequestSchema } from "#gen/shop/inventory/v1/inventory_service_pb.js";
import { file_shop_type_v1_rules } from "#gen/shop/type/v1/rules_pb.js";
import { newId } from "#platform/id.ts";
import { validationInterceptor } from "#platform/interceptors/validation.ts";

const generated = join(import.meta.dirname, "../../src/gen/shop");
const paths = globSync("**/*_pb.js", { cwd: generated });
const modules: Record<string, unknown>[] = await Promise.all(
  paths.map((path) => import(pathToFileURL(join(generated, path)).href)),
);
const services = modules
  .flatMap((module) => Object.values(module) as (DescFile | DescService)[])
  .filter((part) => part.kind === "service");
const intercept = validationInterceptor(services);

/** Every type of message that a request is or holds. */
const types = new Set<DescMessage>();
for (const { input } of services.flatMap(({ methods }) => methods)) {
  types.add(input);
  for (const type of usedTypes(input)) if (type.kind === "message" && isOurs(type)) types.add(type);
}

function isOurs(type: DescMessage): boolean {
  return type.typeName.startsWith("shop.");
}

/** What a call with this message is refused for. */
async function violations(input: DescMessage, message: Message): Promise<BadRequest_FieldViolation[]> {
  const run = intercept(() => Promise.reject(new ConnectError("went through", Code.Aborted)));
  const header = new Headers();
  const request = { stream: false, method: { input }, message, header } as unknown as UnaryRequest;
  const error = await run(request).then(
    () => assert.fail("no answer is given here"),
    (reason: unknown) => ConnectError.from(reason),
  );
  if (error.code === Code.Aborted) return [];
  assert.equal(error.code, Code.InvalidArgument);
  return error.findDetails(BadRequestSchema).flatMap(({ fieldViolations }) => fieldViolations);
}

/** Why a value is refused in a field, when it is. */
async function refusalOf(field: DescField, value: unknown): Promise<BadRequest_FieldViolation | undefined> {
  const message = reflect(field.parent);
  const at = field.fieldKind === "list" && !Array.isArray(value) ? `${field.name}[0]` : field.name;
  if (field.fieldKind !== "list") message.set(field, value as string);
  else for (const item of Array.isArray(value) ? value : [value]) message.get(field).add(item);
  return (await violations(field.parent, message.message)).find((violation) => violation.field === at);
}

const id = newId();
const texts = {
  nothing: "",
  "an id": id,
  "an id in small letters": id.toLowerCase(),
  "an id that is cut": id.slice(1),
  "an id with more": `${id}0`,
  "an id of more bits": `8${id.slice(1)}`,
  "an id with a foreign letter": `${id.slice(1)}U`,
  "an id and a line break": `${id}\n`,
  "a code": "Shirt-red_42.a",
  "a code that begins with a dot": ".a",
  "a space": " ",
  "64 letters": "ä".repeat(64),
  "64 plain letters": "a".repeat(64),
  "65 plain letters": "a".repeat(65),
  "128 letters": "\u{1f600}".repeat(128),
  "129 plain letters": "a".repeat(129),
  "1024 letters": "\u{1f600}".repeat(1024),
  "1025 plain letters": "a".repeat(1025),
} as const;
/** For the patterns that stand at one field only, and for what has something to see. */
const othersTexts = [
  "tok_visa",
  "pm_x",
  "tok_",
  "tok_a-b",
  "DE",
  "D",
  "DEU",
  "EUR",
  "+4930123456",
  "+0123456789",
  "a.b",
  "a.",
  ...["\u200b   ", "\u3164", "\u2800\ufeff", "\u0301", "\u{e0041}", "\n\n", "\u200bA\n", "\u{1f600}", "أ", "क्षि", "."],
];
type Text = keyof typeof texts;
const atMost64 = [
  "65 plain letters",
  "128 letters",
  "129 plain letters",
  "1024 letters",
  "1025 plain letters",
] as const;
const noId = (Object.keys(texts) as Text[]).filter((text) => text !== "an id");
const noCode = [
  ...["nothing", "an id and a line break", "a code that begins with a dot", "a space", "64 letters"],
  ...atMost64,
] as const;

/** By what they refuse, of the texts above. */
const kindsOfText = {
  id: noId,
  "id or empty": noId.filter((text) => text !== "nothing"),
  "request id": ["nothing", "a space", "129 plain letters", "1024 letters", "1025 plain letters"],
  code: noCode,
  "code or empty": noCode.filter((text) => text !== "nothing"),
  "at most 64": atMost64,
  "1 to 64": ["nothing", ...atMost64],
  "page token": ["1025 plain letters"],
};
const numbers = { "200": 200, "201": 201, "less than none": -1, none: 0 };
const kindsOfNumber = { "page size": ["201", "less than none"] };
const counts = { "0": 0, "1": 1, "100": 100, "101": 101, "256": 256, "257": 257 };
const kindsOfList = { batch: ["0", "257"], lines: ["0", "101", "256", "257"], "beside a batch": ["257"] };

/** The fields of all requests by kind, as `package.Message.field`. */
const refusing: Readonly<Record<string, string>> = {
  id: `
    identity.EndSessionsRequest.person_id identity.ErasePersonRequest.person_id
    identity.ExportPersonRequest.person_id identity.GetPersonRequest.person_id
    identity.ResetSecondFactorRequest.person_id identity.RevokeApiKeyRequest.api_key_id
    identity.SetRolesRequest.person_id inventory.AmendReservationRequest.order_id
    inventory.CommitReservationRequest.order_id
    inventory.ConfirmReservationRequest.order_id inventory.EndAmendmentRequest.order_id
    inventory.ReleaseReservationRequest.order_id
    inventory.ReserveStockRequest.order_id inventory.RestockRequest.order_id inventory.RestockRequest.return_id
    notifications.GetPreferencesRequest.customer_id notifications.RetryNotificationsRequest.notification_ids
    notifications.SetPreferencesRequest.customer_id
    orders.AmendOrderRequest.order_id orders.ApproveReturnRequest.order_id orders.ApproveReturnRequest.return_id
    orders.CancelOrderLinesRequest.order_id orders.CancelOrderRequest.order_id orders.CancelReturnRequest.order_id
    orders.CancelReturnRequest.return_id
    orders.CompleteReturnRequest.order_id orders.CompleteReturnRequest.return_id orders.CreateOrderRequest.customer_id
    orders.CutOrderRequest.order_id
    orders.DecideAmendmentRequest.order_id orders.DecideExchangeRequest.order_id
    orders.DecideExchangeRequest.return_id orders.DecideParkedStepRequest.order_id
    orders.DecideReviewRequest.order_id orders.DeleteOrderRequest.order_id
    orders.EraseCustomerRequest.customer_id orders.ExportCustomerRequest.customer_id
    orders.GetCustomerRequest.customer_id orders.GetOrderRequest.order_id orders.GetOrderSagaRequest.order_id
    orders.GetReturnRequest.order_id orders.GetReturnRequest.return_id orders.GrantRefundRequest.order_id
    orders.NoteStepDecisionRequest.order_id orders.ReceiveReturnRequest.order_id
    orders.RejectReturnRequest.order_id orders.RejectReturnRequest.return_id
    orders.ReportReturnLabelRequest.order_id orders.ReportReturnLabelRequest.return_id
    orders.ReportShipmentRequest.order_id orders.ReportStockRequest.order_id
    orders.RequestReturnRequest.order_id
    orders.ResolveParcelRequest.order_id orders.ScreenOrderRequest.order_id
    orders.SettleOrderRequest.episode_id orders.SettleOrderRequest.order_id orders.TransitionOrderRequest.order_id
    orders.UpdateCustomerRequest.customer_id orders.WatchOrderRequest.order_id
    payments.ApproveRefundRequest.refund_request_id payments.AuthorizePaymentRequest.customer_id
    payments.AuthorizePaymentRequest.order_id payments.CapturePaymentRequest.payment_id
    payments.GetPaymentRequest.payment_id payments.GetRefundRequestRequest.refund_request_id
    payments.RefundPaymentRequest.payment_id payments.RejectRefundRequest.refund_request_id
    payments.VoidPaymentRequest.payment_id sagas.BatchGetEpisodesRequest.episode_ids
    sagas.CancelOrderSagaRequest.order_id sagas.EpisodeExchange.order_id sagas.EpisodeLabel.return_id sagas.EpisodeOrder.customer_id
    sagas.EpisodeOrder.order_id
    sagas.EpisodeReturn.return_id
    sagas.GetSagaRequest.order_id sagas.ResolveParkedStepRequest.order_id sagas.RetryParkedStepRequest.order_id
    sagas.SagaOrder.customer_id sagas.SagaOrder.order_id sagas.ShipmentReport.order_id
    sagas.StartEpisodeRequest.episode_id sagas.StartOrderSagaRequest.saga_id shipping.BookShipmentRequest.order_id
    shipping.CancelShipmentRequest.order_id shipping.CreateShipmentRequest.order_id
    shipping.GetShipmentRequest.shipment_id shipping.ReportPackedRequest.shipment_id
    shipping.ReportShortRequest.shipment_id shipping.RequestReturnLabelRequest.order_id
    shipping.RequestReturnLabelRequest.return_id shipping.TurnBackShipmentRequest.order_id
    webhooks.DeleteEndpointRequest.endpoint_id
    webhooks.EnableEndpointRequest.endpoint_id
    webhooks.GetEndpointRequest.endpoint_id
    webhooks.ListDeliveriesRequest.endpoint_id
    webhooks.ReplayDeliveriesRequest.delivery_id
    webhooks.ReplayDeliveriesRequest.endpoint_id
    webhooks.RotateSecretRequest.endpoint_id
    webhooks.SendTestEventRequest.endpoint_id
    webhooks.UpdateEndpointRequest.endpoint_id
  `,
  "id or empty": `
    audit.ListAuditEventsRequest.order_id inventory.ListStockMovementsRequest.order_id
    notifications.ListNotificationsRequest.customer_id notifications.ListNotificationsRequest.order_id
    orders.BeginParkedDecisionsRequest.customer_id orders.ListOrdersRequest.customer_id
    orders.ListParkedOrdersRequest.customer_id orders.ListReturnsRequest.customer_id orders.ListReturnsRequest.order_id
    orders.ListReviewsRequest.customer_id orders.OrderShipment.return_id orders.ReceiveReturnRequest.return_id
    payments.AuthorizePaymentRequest.payment_id payments.AuthorizePaymentRequest.source_payment_id
    payments.ListDisputesRequest.order_id payments.ListDisputesRequest.payment_id
    payments.ListLedgerEntriesRequest.payment_id payments.ListPaymentsRequest.customer_id
    payments.ListPaymentsRequest.order_id payments.ListRefundRequestsRequest.payment_id sagas.ParkedStepFilter.customer_id shipping.ListShipmentsRequest.order_id
    shipping.TrackShipmentsRequest.order_id
  `,
  "request id": `
    inventory.AdjustStockRequest.request_id inventory.AmendReservationRequest.request_id
    inventory.CommitReservationRequest.request_id
    inventory.ConfirmReservationRequest.request_id inventory.EndAmendmentRequest.request_id
    inventory.ReleaseReservationRequest.request_id
    inventory.ReserveStockRequest.request_id inventory.RestockRequest.request_id
    orders.AmendOrderRequest.request_id orders.ApproveReturnRequest.request_id
    orders.BeginParkedDecisionsRequest.request_id
    orders.CancelOrderLinesRequest.request_id orders.CancelOrderRequest.request_id
    orders.CancelReturnRequest.request_id orders.CreateCustomerRequest.request_id orders.CreateOrderRequest.request_id
    orders.DecideParkedStepRequest.request_id orders.DecideReviewRequest.request_id orders.DeleteOrderRequest.request_id
    orders.EraseCustomerRequest.request_id orders.GrantRefundRequest.request_id
    orders.NoteStepDecisionRequest.request_id
    orders.ReceiveReturnRequest.request_id orders.RejectReturnRequest.request_id orders.RequestReturnRequest.request_id
    orders.UpdateCustomerRequest.request_id payments.ApproveRefundRequest.request_id
    payments.AuthorizePaymentRequest.request_id
    payments.CapturePaymentRequest.request_id payments.RefundPaymentRequest.request_id
    payments.RejectRefundRequest.request_id
    payments.VoidPaymentRequest.request_id sagas.CancelOrderSagaRequest.request_id
    sagas.ResolveParkedStepRequest.request_id sagas.ResolveParkedStepsRequest.request_id
    sagas.RetryParkedStepRequest.request_id sagas.RetryParkedStepsRequest.request_id sagas.StepDecided.request_id
    shipping.BookShipmentRequest.request_id shipping.CancelShipmentRequest.request_id
    shipping.CreateShipmentRequest.request_id shipping.ReportTrackingEventRequest.tracking_number
    shipping.RequestReturnLabelRequest.request_id shipping.TrackingEvent.event_id
    shipping.TurnBackShipmentRequest.request_id
  `,
  code: `
    identity.CreateApiKeyRequest.name
    inventory.AdjustStockRequest.location_id inventory.AdjustStockRequest.sku
    inventory.AmendReservationRequest.fixed_location_ids inventory.GetStockLevelRequest.sku
    inventory.ListBackOrdersRequest.sku
    inventory.ReserveStockLine.sku inventory.RestockPart.location_id inventory.RestockPart.sku orders.MissingArticle.sku
    orders.OrderLine.sku
    orders.OrderShipmentLine.sku orders.ReportShipmentRequest.location_id orders.ResolveParcelRequest.location_id
    sagas.AskedArticle.sku sagas.EpisodeLabel.location_id sagas.EpisodeRecall.location_ids
    sagas.ReturnedPart.location_id
    sagas.ReturnedPart.sku
    sagas.SagaOrderLine.sku sagas.ShipmentReport.location_id sagas.ShipmentReported.location_id
    shipping.BookShipmentRequest.location_id shipping.CancelShipmentRequest.location_id
    shipping.CreateShipmentRequest.location_id shipping.RequestReturnLabelRequest.location_id
    shipping.ShipmentLine.sku shipping.TurnBackShipmentRequest.location_id
    webhooks.CreateEndpointRequest.name
  `,
  "code or empty": `
    inventory.CommitReservationRequest.location_id inventory.ListStockLevelsRequest.location_id
    inventory.ListStockLevelsRequest.sku inventory.ListStockMovementsRequest.location_id
    inventory.ListStockMovementsRequest.sku inventory.ReleaseReservationRequest.location_id
    orders.GetOrderStatisticsRequest.sku
    orders.ReceiveReturnLine.location_id sagas.EpisodeReturn.parcel_location_id
  `,
  "at most 64": `
    identity.ErasePersonRequest.code identity.LoginRequest.code
    inventory.BatchAmendReservationsRequest.traceparents inventory.BatchCommitReservationsRequest.traceparents
    inventory.BatchConfirmReservationsRequest.traceparents
    inventory.BatchEndAmendmentsRequest.traceparents inventory.BatchReleaseReservationsRequest.traceparents
    inventory.BatchReserveStockRequest.traceparents
    inventory.BatchRestockRequest.traceparents orders.BatchCompleteReturnsRequest.traceparents
    orders.BatchCutOrdersRequest.traceparents
    orders.BatchDecideAmendmentsRequest.traceparents orders.BatchDecideExchangesRequest.traceparents
    orders.BatchDecideParkedStepsRequest.traceparents
    orders.BatchReportReturnLabelsRequest.traceparents orders.BatchReportShipmentsRequest.traceparents
    orders.BatchReportStockRequest.traceparents
    orders.BatchResolveParcelsRequest.traceparents orders.BatchScreenOrdersRequest.traceparents
    orders.BatchSettleOrdersRequest.traceparents orders.BatchTransitionOrdersRequest.traceparents
    orders.BeginParkedDecisionsRequest.reason orders.BulkCreateOrdersRequest.traceparents
    orders.DecideExchangeRequest.failure orders.ListParkedOrdersRequest.reason
    orders.ListReviewsRequest.reason
    orders.ParkedOrderStep.reason orders.ReportReturnLabelRequest.reason orders.ReportShipmentRequest.reason
    orders.SettleOrderRequest.waits_for
    payments.BatchAuthorizePaymentsRequest.traceparents payments.BatchCapturePaymentsRequest.traceparents
    payments.BatchRefundPaymentsRequest.traceparents payments.BatchVoidPaymentsRequest.traceparents
    sagas.BatchReportShipmentsRequest.traceparents sagas.CancelOrderSagaRequest.saga_id sagas.EpisodeOrder.traceparent
    sagas.GetSagaRequest.saga_id sagas.ParkedStepFilter.reason sagas.ResolveParkedStepRequest.saga_id
    sagas.RetryParkedStepRequest.saga_id sagas.SagaOrder.traceparent sagas.ShipmentReported.reason
    shipping.BatchBookShipmentsRequest.traceparents
    shipping.BatchCancelShipmentsRequest.traceparents shipping.BatchCreateShipmentsRequest.traceparents
    shipping.BatchGetShipmentsRequest.traceparents shipping.BatchRequestReturnLabelsRequest.traceparents
    shipping.BatchTurnBackShipmentsRequest.traceparents
    shipping.CreateShipmentRequest.saga_id
  `,
  "1 to 64": `
    identity.ConfirmSecondFactorRequest.code identity.DisableSecondFactorRequest.code
    orders.OrderFailure.reason sagas.ShipmentReport.saga_id sagas.ShipmentReported.news
  `,
  "page token": `
    audit.ListAuditEventsRequest.page_token identity.ListApiKeysRequest.page_token identity.ListPeopleRequest.page_token
    inventory.ListBackOrdersRequest.page_token inventory.ListStockLevelsRequest.page_token
    inventory.ListStockMovementsRequest.page_token notifications.ListNotificationsRequest.page_token
    orders.ExportCustomerRequest.page_token
    orders.GetOrderStatisticsRequest.page_token orders.ListCustomersRequest.page_token
    orders.ListOrdersRequest.page_token orders.ListParkedOrdersRequest.page_token
    orders.ListReturnsRequest.page_token orders.ListReviewsRequest.page_token
    payments.ListDisputesRequest.page_token payments.ListLedgerEntriesRequest.page_token payments.ListPaymentsRequest.page_token
    payments.ListRefundRequestsRequest.page_token
    sagas.ListParkedStepsRequest.page_token shipping.ListShipmentsRequest.page_token
    shipping.TrackShipmentsRequest.page_token
    webhooks.ListDeliveriesRequest.page_token
    webhooks.ListEndpointsRequest.page_token
  `,
  "page size": `
    audit.ListAuditEventsRequest.page_size identity.ListApiKeysRequest.page_size identity.ListPeopleRequest.page_size
    inventory.ListBackOrdersRequest.page_size inventory.ListStockLevelsRequest.page_size
    inventory.ListStockMovementsRequest.page_size notifications.ListNotificationsRequest.page_size
    orders.ExportCustomerRequest.page_size
    orders.GetOrderStatisticsRequest.page_size orders.ListCustomersRequest.page_size
    orders.ListOrdersRequest.page_size orders.ListParkedOrdersRequest.page_size
    orders.ListReturnsRequest.page_size orders.ListReviewsRequest.page_size
    payments.ListDisputesRequest.page_size payments.ListLedgerEntriesRequest.page_size payments.ListPaymentsRequest.page_size
    payments.ListRefundRequestsRequest.page_size
    sagas.ListParkedStepsRequest.page_size shipping.ListShipmentsRequest.page_size
    shipping.TrackShipmentsRequest.page_size
    webhooks.ListDeliveriesRequest.page_size
    webhooks.ListEndpointsRequest.page_size
  `,
  batch: `
    inventory.BatchAmendReservationsRequest.requests inventory.BatchCommitReservationsRequest.requests
    inventory.BatchConfirmReservationsRequest.requests
    inventory.BatchEndAmendmentsRequest.requests inventory.BatchReleaseReservationsRequest.requests
    inventory.BatchReserveStockRequest.requests
    inventory.BatchRestockRequest.requests notifications.RetryNotificationsRequest.notification_ids
    orders.BatchCompleteReturnsRequest.requests
    orders.BatchCutOrdersRequest.requests
    orders.BatchDecideAmendmentsRequest.requests orders.BatchDecideExchangesRequest.requests
    orders.BatchDecideParkedStepsRequest.requests
    orders.BatchReportReturnLabelsRequest.requests orders.BatchReportShipmentsRequest.requests
    orders.BatchReportStockRequest.requests orders.BatchResolveParcelsRequest.requests
    orders.BatchScreenOrdersRequest.requests
    orders.BatchSettleOrdersRequest.requests orders.BatchTransitionOrdersRequest.requests
    payments.BatchAuthorizePaymentsRequest.requests
    payments.BatchCapturePaymentsRequest.requests payments.BatchRefundPaymentsRequest.requests
    payments.BatchVoidPaymentsRequest.requests sagas.BatchReportShipmentsRequest.reports
    shipping.BatchBookShipmentsRequest.requests shipping.BatchCancelShipmentsRequest.requests
    shipping.BatchCreateShipmentsRequest.requests shipping.BatchGetShipmentsRequest.requests
    shipping.BatchRequestReturnLabelsRequest.requests shipping.BatchTurnBackShipmentsRequest.requests
    shipping.ReportTrackingEventsRequest.requests
  `,
  "beside a batch": `
    inventory.BatchAmendReservationsRequest.traceparents inventory.BatchCommitReservationsRequest.traceparents
    inventory.BatchConfirmReservationsRequest.traceparents
    inventory.BatchEndAmendmentsRequest.traceparents inventory.BatchReleaseReservationsRequest.traceparents
    inventory.BatchReserveStockRequest.traceparents
    inventory.BatchRestockRequest.traceparents orders.BatchCompleteReturnsRequest.traceparents
    orders.BatchCutOrdersRequest.traceparents
    orders.BatchDecideAmendmentsRequest.traceparents orders.BatchDecideExchangesRequest.traceparents
    orders.BatchDecideParkedStepsRequest.traceparents
    orders.BatchReportReturnLabelsRequest.traceparents orders.BatchReportShipmentsRequest.traceparents
    orders.BatchReportStockRequest.traceparents
    orders.BatchResolveParcelsRequest.traceparents orders.BatchScreenOrdersRequest.traceparents
    orders.BatchSettleOrdersRequest.traceparents orders.BatchTransitionOrdersRequest.traceparents
    payments.BatchAuthorizePaymentsRequest.traceparents
    payments.BatchCapturePaymentsRequest.traceparents payments.BatchRefundPaymentsRequest.traceparents
    payments.BatchVoidPaymentsRequest.traceparents sagas.BatchReportShipmentsRequest.traceparents
    sagas.EpisodeOrder.events shipping.BatchBookShipmentsRequest.traceparents
    shipping.BatchCancelShipmentsRequest.traceparents shipping.BatchCreateShipmentsRequest.traceparents
    shipping.BatchGetShipmentsRequest.traceparents shipping.BatchRequestReturnLabelsRequest.traceparents
    shipping.BatchTurnBackShipmentsRequest.traceparents
  `,
  lines: `
    inventory.AmendReservationRequest.lines inventory.ReserveStockRequest.lines inventory.RestockRequest.parts
    orders.CancelOrderLinesRequest.lines orders.CreateOrderRequest.lines orders.CutOrderRequest.missing
    orders.ReceiveReturnRequest.lines orders.RequestReturnRequest.lines orders.RequestedExchange.lines
    sagas.EpisodeCheckout.lines sagas.SagaOrder.lines shipping.CreateShipmentRequest.lines
  `,
};

function nameOf(field: DescField): string {
  return `${field.parent.typeName.replace(/^shop\.(\w+)\.v1\./, "$1.")}.${field.name}`;
}

/** The kinds that refuse exactly what the field does. */
async function kindsOf(
  field: DescField,
  samples: Readonly<Record<string, unknown>>,
  kinds: Readonly<Record<string, readonly string[]>>,
): Promise<string[]> {
  const refused: string[] = [];
  for (const [name, value] of Object.entries(samples)) if (await refusalOf(field, value)) refused.push(name);
  return Object.keys(kinds).filter((kind) => kinds[kind]?.toString() === refused.toString());
}

async function kindsOfField(field: DescField): Promise<string[]> {
  if (field.fieldKind === "list") {
    const plain = field.scalar === ScalarType.INT64 ? 1n : "";
    const item = field.message ? reflect(field.message) : plain;
    const lists = Object.fromEntries(Object.entries(counts).map(([name, count]) => [name, Array(count).fill(item)]));
    const ofList = field.listKind === "enum" ? [] : await kindsOf(field, lists, kindsOfList);
    return [...ofList, ...(field.scalar === ScalarType.STRING ? await kindsOf(field, texts, kindsOfText) : [])];
  }
  if (field.scalar === ScalarType.STRING && field.fieldKind === "scalar") return kindsOf(field, texts, kindsOfText);
  return field.scalar === ScalarType.INT32 && field.fieldKind === "scalar"
    ? kindsOf(field, numbers, kindsOfNumber)
    : [];
}

describe("the requests of the contract", () => {
  test("refuse in each field what they always refused", async () => {
    const found: { kind: string; name: string }[] = [];
    for (const field of [...types].flatMap((type) => type.fields)) {
      for (const kind of await kindsOfField(field)) found.push({ kind, name: nameOf(field) });
    }
    for (const [kind, names] of Object.entries(refusing)) {
      const ofKind = found.filter((each) => each.kind === kind).map(({ name }) => name);
      assert.deepEqual(ofKind.sort(), names.trim().split(/\s+/), kind);
    }
  });

  const counted = "string.characters";

  test("refuse by our engine for patterns what RE2 refuses", async () => {
    const re2 = createValidator({ registry: createRegistry(file_shop_type_v1_rules) });
    const samples = [...Object.values(texts), ...othersTexts];
    const fields = [...types].flatMap((type) => type.fields).filter((field) => field.fieldKind === "scalar");
    for (const field of fields.filter(({ scalar }) => scalar === ScalarType.STRING)) {
      for (const value of samples) {
        const message = reflect(field.parent);
        message.set(field, value);
        const judged = re2.validate(field.parent, message.message);
        const { violations: theirs = [] } = judged;
        // Characters are counted by no engine.
        const expected = theirs.some(({ field: at, ruleId }) => pathToString(at) === field.name && ruleId !== counted);
        const reason = (await refusalOf(field, value))?.reason ?? counted;
        assert.equal(reason !== counted, expected, `${nameOf(field)}: ${value}`);
      }
    }
  });

  test("say in words what a text has to be, and show nobody a pattern", async () => {
    const ofTexts = [...types].flatMap(({ fields }) => fields.filter(({ scalar }) => scalar === ScalarType.STRING));
    for (const field of ofTexts) {
      if (field.fieldKind === "map") continue;
      for (const value of othersTexts) {
        const { description = "" } = (await refusalOf(field, value)) ?? {};
        assert.doesNotMatch(description, /pattern|regex|\^/, `${nameOf(field)}: ${value}`);
      }
    }
  });

  test("have no pattern that takes forever on some text: none repeats a group", () => {
    const protos = join(import.meta.dirname, "../../../../proto");
    const found = globSync("**/*.proto", { cwd: protos }).flatMap((path) => {
      // A long text stands on several lines.
      const text = readFileSync(join(protos, path), "utf8").replace(/"\n\s*"/g, "");
      return [...text.matchAll(/matches\('(.+?)'/g)].map(([, pattern = ""]) => pattern);
    });
    assert.ok(found.length > 5, `${found.length} patterns`);
    for (const pattern of found) {
      assert.match(pattern, /^\^.*\$$/);
      assert.doesNotMatch(pattern, /\)[*+{]/);
    }
  });

  const whole = { requestId: "r", orderId: id, lines: [{ sku: "A-1", quantity: 1n }] };
  const cases = [
    {
      wrong: { orderId: id.toLowerCase() },
      field: "order_id",
      reason: "string.id",
      description: "must be an id: 26 characters of Crockford's base32 in capitals",
    },
    {
      wrong: { requestId: "" },
      field: "request_id",
      reason: "string.request_id",
      description: "must be a request id: 1 to 128 characters, with something to see",
    },
    { wrong: { lines: [] }, field: "lines", reason: "repeated.lines", description: "must be 1 to 100 lines" },
  ];
  for (const { wrong, ...expected } of cases) {
    test(`say of ${expected.field} that it ${expected.description}`, async () => {
      const request = create(ReserveStockRequestSchema, { ...whole, ...wrong });
      const told = await violations(ReserveStockRequestSchema, request);
      assert.deepEqual(
        told.map(({ field, reason, description }) => ({ field, reason, description })),
        [expected],
      );
    });
  }
});
