import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import {
  type ExecuteOperationsRequest,
  ExecuteOperationsResponseSchema,
  type FindOperationsRequest,
  FindOperationsResponseSchema,
  type GatewayConnectorService,
  GetCapabilitiesResponseSchema,
  ListEventsResponseSchema,
  type ListedOperation,
  ListedOperationSchema,
  type ListOperationsRequest,
  ListOperationsResponseSchema,
  PartVoid,
} from "#gen/ordermesh/connectors/v1/gateway_connector_service_pb.js";
import {
  type GatewayOperation,
  GatewayOperationKind,
  type GatewayOutcome,
  GatewayOutcomeSchema,
} from "#gen/ordermesh/connectors/v1/gateway_operation_pb.js";
import { answerEach, type EntryOutcome } from "#platform/batch/batch-call.ts";
import type { Subject } from "#platform/context.ts";
import { type Whole, whole } from "#platform/whole.ts";
import type { OperationKind, RecordRow, SimulatorCall, SimulatorRecord } from "./gateway-operation.ts";
import type { GatewaySimulator, SimulatorAnswer } from "./gateway-simulator.ts";

const kinds = {
  authorize: GatewayOperationKind.AUTHORIZE,
  capture: GatewayOperationKind.CAPTURE,
  void: GatewayOperationKind.VOID,
  refund: GatewayOperationKind.REFUND,
} as const satisfies Record<OperationKind, GatewayOperationKind>;

const kindNames = new Map<GatewayOperationKind, OperationKind>(
  Object.entries(kinds).map(([name, kind]) => [kind, name as OperationKind]),
);

const maxListed = 1_000;
const maxOperations = 256;
const referencePrefix = "sim_";
/** The key of no authorization. */
const noKey = "00000000-0000-0000-0000-000000000000";
/** How long the simulated gateway says that it holds an amount; it holds it for longer. */
const holdMs = 7 * 24 * 3_600_000;

/** The simulated gateway as payments calls it. */
export class GatewayConnectorApi implements ServiceImpl<typeof GatewayConnectorService> {
  readonly #gateway: GatewaySimulator;

  constructor(gateway: GatewaySimulator) {
    this.#gateway = gateway;
  }

  getCapabilities() {
    return whole(GetCapabilitiesResponseSchema, {
      maxCaptures: this.#gateway.captures === "once" ? 1 : 1_000,
      partVoid: this.#gateway.partVoid === "now" ? PartVoid.NOW : PartVoid.DEFERRED,
      keyLifetime: undefined,
      currencies: [],
      maxOperations,
      maxOperationsPerSecond: 0,
    });
  }

  async executeOperations({ operations, traceparents }: ExecuteOperationsRequest, { signal }: HandlerContext) {
    const batch = { requests: operations, traceparents };
    const about = { method: "ExecuteOperation", subjectOf: orderOf };
    const outcomes = await answerEach(batch, about, async (operation) =>
      toOutcome(await this.#gateway.execute(toCall(operation), { signal })),
    );
    return whole(ExecuteOperationsResponseSchema, { outcomes: outcomes.map(toExecuted) });
  }

  async findOperations({ operations }: FindOperationsRequest, { signal }: HandlerContext) {
    const keys = operations.map(({ key }) => key);
    const answers = await this.#gateway.find(keys, { signal });
    return whole(FindOperationsResponseSchema, { outcomes: answers.map(toOutcome) });
  }

  async listOperations({ afterKey, toKey, limit: asked }: ListOperationsRequest) {
    const limit = asked || maxListed;
    const rows = await this.#gateway.list({ after: afterKey, to: toKey, limit: limit + 1 });
    const operations = rows.slice(0, limit).map(toListed);
    return whole(ListOperationsResponseSchema, { operations, more: rows.length > limit });
  }

  /** Nothing happens by itself at this gateway. */
  listEvents() {
    return whole(ListEventsResponseSchema, { events: [] });
  }
}

function orderOf({ orderId }: GatewayOperation): Subject {
  return orderId === "" ? {} : { "order.id": orderId };
}

/** Nothing that the simulator does is refused by its own errors. */
function toExecuted({ outcome }: EntryOutcome<GatewayOutcome>): GatewayOutcome {
  return outcome.case === "response" ? outcome.value : toOutcome({ state: "lost" });
}

function toCall({ key, kind: said, reference, cardToken, amount, final }: GatewayOperation): SimulatorCall {
  const kind = kindNames.get(said) ?? "authorize";
  const isAuthorization = kind === "authorize";
  return {
    key,
    kind,
    authorizationKey: isAuthorization ? key : keyOf(reference),
    cardToken: isAuthorization ? cardToken : "",
    currency: amount?.currency ?? "",
    amount: amount?.amount ?? 0n,
    final,
  };
}

/** The key of the authorization that a reference is of. */
function keyOf(reference: string): string {
  const [, key = noKey] = /^sim_([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/.exec(reference) ?? [];
  return key;
}

function toOutcome(answer: SimulatorAnswer): GatewayOutcome {
  return whole(GatewayOutcomeSchema, { result: resultOf(answer) });
}

function resultOf(answer: SimulatorAnswer): Whole<typeof GatewayOutcomeSchema>["result"] {
  switch (answer.state) {
    case "decided":
      return decisionOf(answer.record);
    case "processing":
      return { case: "processing", value: {} };
    case "lost":
      return { case: "undetermined", value: {} };
    case "reused":
      return { case: "keyReused", value: {} };
    case "unknown":
      return { case: "notExecuted", value: {} };
  }
}

function decisionOf({ key, kind, declineCode, createTime }: SimulatorRecord) {
  if (declineCode !== "") return { case: "declined", value: { code: declineCode } } as const;
  const until = kind === "authorize" ? timestampFromDate(new Date(createTime.getTime() + holdMs)) : undefined;
  return { case: "approved", value: { reference: referencePrefix + key, holdExpireTime: until } } as const;
}

function toListed(row: RecordRow): ListedOperation {
  const { key, kind, authorizationKey, currency, amount, captured, voided, refunded, deferred, remainingMs } = row;
  const record = { ...row, fresh: false };
  return whole(ListedOperationSchema, {
    key,
    kind: kinds[kind],
    authorizationKey,
    amount: { currency, amount },
    outcome: toOutcome({ state: remainingMs > 0 ? "processing" : "decided", record }),
    amounts: kind === "authorize" ? { captured, voided, refunded, deferred } : undefined,
    outside: undefined,
  });
}
