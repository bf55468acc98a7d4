import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type ServiceImpl } from "@connectrpc/connect";
import {
  type ExecuteOperationsRequest,
  ExecuteOperationsResponseSchema,
  type FindOperationsRequest,
  FindOperationsResponseSchema,
  type GatewayConnectorService,
  GetCapabilitiesResponseSchema,
  type ListEventsRequest,
  ListEventsResponseSchema,
  type ListedOperation,
  ListedOperationSchema,
  type ListOperationsRequest,
  ListOperationsResponseSchema,
  PartVoid,
} from "#gen/ordermesh/connectors/v1/gateway_connector_service_pb.js";
import { DisputeState, type GatewayEvent, GatewayEventSchema } from "#gen/ordermesh/connectors/v1/gateway_event_pb.js";
import {
  type GatewayOperation,
  GatewayOperationKind,
  type GatewayOutcome,
  GatewayOutcomeSchema,
} from "#gen/ordermesh/connectors/v1/gateway_operation_pb.js";
import { answerEach, type EntryOutcome } from "#platform/batch/batch-call.ts";
import { detached, type Subject } from "#platform/context.ts";
import type { Logger } from "#platform/log/logger.ts";
import { orLate } from "#platform/wait.ts";
import { type Whole, whole } from "#platform/whole.ts";
import type { HappeningRepository, ListedHappening } from "./happening.repository.ts";
import type { Rules } from "./judgement.ts";
import type { ListedRow } from "./operation.repository.ts";
import { type Asked, type OperationKind, type Outcome, outcomeOf } from "./operation.ts";
import type { StripeGateway } from "./stripe-gateway.ts";

/** What payments is told of the account, and how long it waits. */
export interface ConnectorApiOptions {
  readonly gateway: StripeGateway;
  readonly happenings: Pick<HappeningRepository, "list">;
  readonly rules: Rules;
  /** Operations in a second that all replicas together take. */
  readonly perSecond: number;
  /** After so long an operation is answered as being processed, in milliseconds. */
  readonly answerWithinMs: number;
  readonly log: Pick<Logger, "error">;
}

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
const maxOperations = 64;
const maxEvents = 256;

const disputeStates = {
  open: DisputeState.OPEN,
  won: DisputeState.WON,
  lost: DisputeState.LOST,
} as const;

/** Stripe as payments calls it. */
export class ConnectorApi implements ServiceImpl<typeof GatewayConnectorService> {
  readonly #options: ConnectorApiOptions;

  constructor(options: ConnectorApiOptions) {
    this.#options = options;
  }

  getCapabilities() {
    const { rules, perSecond } = this.#options;
    return whole(GetCapabilitiesResponseSchema, {
      maxCaptures: rules.maxCaptures,
      partVoid: PartVoid.DEFERRED,
      keyLifetime: undefined,
      currencies: [...rules.minAmounts].map(([currency, minAmount]) => ({ currency, minAmount })),
      maxOperations,
      maxOperationsPerSecond: Math.max(1, Math.floor(perSecond)),
    });
  }

  async executeOperations({ operations, traceparents }: ExecuteOperationsRequest) {
    const { gateway } = this.#options;
    const batch = { requests: operations, traceparents };
    const outcomes = await answerEach(batch, { method: "ExecuteOperation", subjectOf: orderOf }, (operation) =>
      this.#inTime(() => gateway.execute(toAsked(operation))),
    );
    return whole(ExecuteOperationsResponseSchema, { outcomes: outcomes.map(toAnswered) });
  }

  async findOperations({ operations }: FindOperationsRequest) {
    const { gateway } = this.#options;
    const outcomes = await Promise.all(
      operations.map((operation) => this.#inTime(() => gateway.find(toAsked(operation)))),
    );
    return whole(FindOperationsResponseSchema, { outcomes });
  }

  async listOperations({ afterKey, toKey, limit: asked }: ListOperationsRequest) {
    const limit = asked || maxListed;
    const rows = await this.#options.gateway.list({ after: afterKey, to: toKey, limit: limit + 1 });
    const operations = rows.slice(0, limit).map(toListed);
    return whole(ListOperationsResponseSchema, { operations, more: rows.length > limit });
  }

  async listEvents({ after, limit: asked }: ListEventsRequest) {
    if (!/^\d{0,18}$/.test(after))
      throw new ConnectError(`after: "${after}" is no position of ours`, Code.InvalidArgument);
    const rows = await this.#options.happenings.list(BigInt(after), asked || maxEvents);
    return whole(ListEventsResponseSchema, { events: rows.map(toEvent) });
  }

  /** What takes longer goes on, whoever waits for it. */
  async #inTime(work: () => Promise<Outcome>): Promise<GatewayOutcome> {
    const { answerWithinMs, log } = this.#options;
    const running = detached(work);
    running.catch((err: unknown) => log.error("an operation is left as it is", { err }));
    return toOutcome((await orLate(running, answerWithinMs)) ?? { state: "processing" });
  }
}

function orderOf({ orderId }: GatewayOperation): Subject {
  return orderId === "" ? {} : { "order.id": orderId };
}

/** An error leaves open what happened. */
function toAnswered({ outcome }: EntryOutcome<GatewayOutcome>): GatewayOutcome {
  return outcome.case === "response" ? outcome.value : toOutcome({ state: "undetermined" });
}

function toAsked({ key, kind: said, orderId, cardToken, reference, amount, final }: GatewayOperation): Asked {
  const kind = kindNames.get(said) ?? "authorize";
  const isAuthorization = kind === "authorize";
  return {
    key,
    kind,
    orderId,
    cardToken: isAuthorization ? cardToken : "",
    reference: isAuthorization ? "" : reference,
    currency: amount?.currency ?? "",
    amount: amount?.amount ?? 0n,
    final: !isAuthorization && final,
  };
}

function toOutcome(outcome: Outcome): GatewayOutcome {
  return whole(GatewayOutcomeSchema, { result: resultOf(outcome) });
}

function resultOf(outcome: Outcome): Whole<typeof GatewayOutcomeSchema>["result"] {
  switch (outcome.state) {
    case "approved": {
      const { reference, holdExpireTime } = outcome;
      return {
        case: "approved",
        value: { reference, holdExpireTime: holdExpireTime && timestampFromDate(holdExpireTime) },
      };
    }
    case "declined":
      return { case: "declined", value: { code: outcome.code } };
    case "requires_action":
      return { case: "requiresAction", value: {} };
    case "processing":
      return { case: "processing", value: {} };
    case "not_executed":
      return { case: "notExecuted", value: {} };
    case "undetermined":
      return { case: "undetermined", value: {} };
    case "reused":
      return { case: "keyReused", value: {} };
  }
}

function toListed(row: ListedRow): ListedOperation {
  const { key, kind, authorizationKey, currency, amount, captured = 0n, voided: all = 0n, refunded = 0n } = row;
  const isOver = captured + all === amount;
  const [voided, deferred] = isOver ? [all, 0n] : [0n, all];
  return whole(ListedOperationSchema, {
    key,
    kind: kinds[kind],
    authorizationKey,
    amount: { currency, amount },
    outcome: toOutcome(outcomeOf(row) ?? { state: "processing" }),
    amounts: kind === "authorize" ? { captured, voided, refunded, deferred } : undefined,
    outside: row.outside ? { reference: row.stripeId, time: timestampFromDate(row.createTime) } : undefined,
  });
}

function toEvent(row: ListedHappening): GatewayEvent {
  const { position, eventId, time, authorizationKey } = row;
  return whole(GatewayEventSchema, {
    position: String(position),
    eventId,
    time: timestampFromDate(time),
    authorizationKey,
    event: happeningOf(row),
  });
}

function happeningOf(row: ListedHappening): Whole<typeof GatewayEventSchema>["event"] {
  const { kind, key = "", code, disputeId, state, currency, amount, respondByTime } = row;
  if (kind === "refund_failed") return { case: "refundFailed", value: { key, code } };
  if (kind === "hold_ended" || state === "") return { case: "holdEnded", value: {} };
  const until = respondByTime && timestampFromDate(respondByTime);
  const dispute = { disputeId, state: disputeStates[state], reason: code, amount: { currency, amount } };
  return { case: "disputed", value: { ...dispute, respondByTime: until } };
}
