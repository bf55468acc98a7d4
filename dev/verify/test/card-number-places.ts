// Where texts of callers are kept, and where numbers that look like a card's are meant to be.

function of(call: string, fields: readonly string[]): string[] {
  return fields.map((field) => `${call}${field}`);
}

const names = ["given_name", "family_name", "email"];
const prices = ["adjustments[].name", "lines[].adjustments[].name"];
const address = ["recipient", "lines[]", "city", "postal_code"];

/** Fields whose text is kept in a database. */
export const inDatabases: readonly string[] = [
  ...of("CreateCustomer ", names),
  ...of("UpdateCustomer ", names),
  ...of("CreateOrder shipping_address.", address),
  ...of("BulkCreateOrders requests[].shipping_address.", address),
  ...of("CreateOrder ", prices),
  ...of("BulkCreateOrders requests[].", prices),
  ...[
    "CreateOrder card_token",
    "BulkCreateOrders requests[].card_token",
    "CancelOrder reason",
    "DecideParkedStep note",
    "BatchDecideParkedSteps requests[].note",
  ],
  ...["RetryParkedStep note", "ResolveParkedStep note"],
  ...of("BatchTransitionOrders requests[].failure.", ["reason", "customer_message"]),
  ...of("BatchSettleOrders requests[].failure.", ["reason", "customer_message"]),
  ...["AdjustStock reason", "RefundPayment reason", "BatchRefundPayments requests[].reason"],
  ...["ApproveRefund reason", "RejectRefund reason"],
  ...["AuthorizePayment card_token", "BatchAuthorizePayments requests[].card_token"],
  ...of("CreateShipment address.", address),
  ...of("BatchCreateShipments requests[].address.", address),
  ...["ReportTrackingEvent event.place", "ReportTrackingEvents requests[].event.place"],
  "MailPasswordToken email",
];

/** Fields whose text is kept in the history of a workflow. */
export const inHistories: readonly string[] = [
  ...of("CreateOrder shipping_address.", address),
  ...of("BulkCreateOrders requests[].shipping_address.", address),
  ...["CreateOrder card_token", "BulkCreateOrders requests[].card_token"],
  ...of("StartEpisode orders[].checkout.shipping_address.", address),
  "StartEpisode orders[].checkout.card_token",
  ...of("StartOrderSaga orders[].shipping_address.", address),
  "StartOrderSaga orders[].card_token",
];

const stockAudit = "^inventory\\.(?:audit_event\\.(?:subject|details\\.\\(name\\))|idempotency_key\\.response)$";

/**
 * Where numbers of others are kept which look like a card's, by the field that they come in. That they are found there also
 * shows that they would be found elsewhere.
 */
export const meant: Readonly<Record<string, RegExp>> = {
  request_id: /^\w+\.idempotency_key\.request_id$/,
  event_id: /^shipping\.tracking_event\.event_id$/,
  phone: /^orders\.(?:customer|idempotency_key\.response)\.phone$/,
  // A refusal says which article is unknown.
  sku: new RegExp(`\\.sku$|\\.refusal\\.message$|^orders\\.order_statistics_fact\\.articles$|${stockAudit}`),
  // What an episode is told.
  tracking_number: /^history\..*\.trackingNumber$|^orders\.order_return\.tracking_number$/,
  // Request ids of decisions belong to one step of one order, which names a location.
  step: /^history\..*\.step$|^orders\.idempotency_key\.method$/,
  saga: /^history\..*\.failure\.customerMessage$/,
  location_id: new RegExp(
    `\\.location_id$|^inventory\\.idempotency_key\\.method$|\\.locationId$|^orders\\.(?:order_event\\.event_id|customer_order\\.episode_events\\.id)$|^(?:shipping|inventory)\\.audit_event\\.details\\.location$|${stockAudit}`,
  ),
};

/** Whether a line is the audit log's, which is written beside the log, and says of which article or place it speaks. */
export function isAudited(line: string, field: string | undefined): boolean {
  return line.includes('"event.dataset":"ordermesh.audit"') && (field === "sku" || field === "location_id");
}
