import { durationMs, timestampMs } from "@bufbuild/protobuf/wkt";
import type { Client } from "@connectrpc/connect";
import {
  NoteStepDecisionRequestSchema,
  type OrderLifecycleService,
  StepDecision,
} from "#gen/shop/orders/v1/order_lifecycle_service_pb.js";
import { SagaErrorReason } from "#gen/shop/sagas/v1/saga_error_reason_pb.js";
import type { ParkedStep } from "#gen/shop/sagas/v1/saga_pb.js";
import type { ParkedStepFilter } from "#gen/shop/sagas/v1/saga_service_pb.js";
import type { Failure } from "#gen/shop/type/v1/failure_pb.js";
import { toFailure } from "#platform/errors.ts";
import { inParallel } from "#platform/parallel.ts";
import { whole } from "#platform/whole.ts";
import { SagaError } from "./errors.ts";
import type { LegacySagas } from "./legacy-sagas.ts";
import type { Decision, OrderRows, ParkedFilter, ParkedPage, StepRef } from "./order-rows.ts";
import { toParkedStep, toUnreadable } from "./saga-proto.ts";

/** Workflows of the kind before that are asked, or told, at the same time. */
const callsAtOnce = 8;
/** What the places of pages of rows begin with; those of workflows are base64, which has no colon. */
const rowCursor = "row:";
/**
 * Moves of an order's status, when its row refuses them: only the row can make them. And "carry": that a workflow takes the
 * order at all. Nothing can be done instead.
 */
const irreplaceable: ReadonlySet<string> = new Set([
  "carry",
  "preparing",
  "shipped",
  "delivered",
  "rejected",
  "cancelled",
  "failed",
  "settle",
]);

/** A parked step, and who knows it: the row of its order, or a workflow of the kind before episodes. */
export interface FoundStep {
  readonly step: ParkedStep;
  readonly legacy: boolean;
}

/** What parked steps work with. */
export interface ParkedStepsOptions {
  readonly rows: OrderRows;
  readonly legacy: LegacySagas;
  /** Keeps the audit log of orders. */
  readonly audit: Pick<Client<typeof OrderLifecycleService>, "noteStepDecision">;
}

/** The filter of a request; undefined is any. */
export function toParkedFilter(filter: ParkedStepFilter | undefined): ParkedFilter {
  const { step = "", reason = "", customerId = "", olderThan } = filter ?? {};
  return { step, reason, customerId, olderThan };
}

/** The steps that wait for an operator: those that rows know, and those of workflows of the kind before. */
export class ParkedSteps {
  readonly #options: ParkedStepsOptions;

  constructor(options: ParkedStepsOptions) {
    this.#options = options;
  }

  /** One page: first those of rows, the longest waiting first, then those of workflows. */
  async page(filter: ParkedFilter, page: ParkedPage): Promise<{ steps: FoundStep[]; next: string }> {
    if (page.token !== "" && !page.token.startsWith(rowCursor)) return await this.#legacyPage(filter, page);
    const known = await this.#options.rows.parked(filter, { ...page, token: page.token.slice(rowCursor.length) });
    const steps = known.steps.map((step) => ({ step, legacy: false }));
    if (known.next !== "") return { steps, next: `${rowCursor}${known.next}` };
    const { steps: others, next } = await this.#legacyPage(filter, { ...page, token: "" });
    return { steps: [...steps, ...others], next };
  }

  /** A page of workflows that have parked steps. Its place is Temporal's to say: a token of its own, in base64. */
  async #legacyPage(filter: ParkedFilter, page: ParkedPage): Promise<{ steps: FoundStep[]; next: string }> {
    if (filter.reason !== "" || filter.customerId !== "") return { steps: [], next: "" };
    const { legacy } = this.#options;
    const { sagaIds, nextPageToken } = await legacy.parked(page.size, Buffer.from(page.token, "base64"));
    const found = await inParallel(sagaIds, callsAtOnce, (sagaId) => this.#stepsOf(sagaId));
    const steps = found.flat().filter((step) => matches(step, filter, page));
    return {
      steps: steps.map((step) => ({ step, legacy: true })),
      next: nextPageToken.toString("base64"),
    };
  }

  /** One workflow that cannot be asked must not hide all others. */
  async #stepsOf(sagaId: string): Promise<ParkedStep[]> {
    try {
      return (await this.#options.legacy.parkedSteps(sagaId)).map((view) => toParkedStep(sagaId, view));
    } catch (error) {
      return [toUnreadable(sagaId, error)];
    }
  }

  /** Takes an operator's decision about one step. @throws STEP_NOT_PARKED, STEP_NOT_RESOLVABLE, SAGA_NOT_FOUND */
  async decide(ref: StepRef & { readonly sagaId: string }, decision: Decision): Promise<void> {
    const refusal = unresolvable(ref, decision);
    if (refusal) throw refusal;
    const { rows } = this.#options;
    if (await rows.isLegacy(ref.orderId)) await this.#decideLegacy(ref, decision);
    else await rows.decide(ref, decision);
  }

  /** Takes an operator's decision about many steps; for each what it is refused with, or undefined. */
  async decideAll(found: readonly FoundStep[], decision: Decision): Promise<(Failure | undefined)[]> {
    const open = found.filter(({ step }) => !unresolvable(step, decision));
    const rows = open.filter(({ legacy }) => !legacy).map(({ step }) => step);
    const others = open.filter(({ legacy }) => legacy).map(({ step }) => step);
    const ofRows = await this.#options.rows.decideAll(rows, decision);
    const ofOthers = await inParallel(others, callsAtOnce, (step) =>
      failureOf(() => this.#decideLegacy(step, decision)),
    );
    const outcomes = new Map<ParkedStep, Failure | undefined>();
    for (const [index, step] of rows.entries()) outcomes.set(step, ofRows[index]);
    for (const [index, step] of others.entries()) outcomes.set(step, ofOthers[index]);
    return found.map(({ step }) => {
      const refusal = unresolvable(step, decision);
      return refusal ? toFailure(refusal) : outcomes.get(step);
    });
  }

  /** A workflow is told under a name of its own for each step: the same request id may stand for many. */
  async #decideLegacy(ref: StepRef & { readonly sagaId: string }, decision: Decision): Promise<void> {
    const { legacy, audit } = this.#options;
    const { orderId, step } = ref;
    const { requestId, resolve, note } = decision;
    const kind = resolve ? StepDecision.RESOLVE : StepDecision.RETRY;
    await audit.noteStepDecision(
      whole(NoteStepDecisionRequestSchema, { requestId, orderId, step, decision: kind, note }),
    );
    const updateId = `${requestId}/${orderId}/${step}`;
    if (resolve) await legacy.resolve(ref, step, { note, requestId: updateId });
    else await legacy.retry(ref, step, updateId);
  }
}

/** STEP_NOT_RESOLVABLE for what nothing can stand in for. */
function unresolvable({ orderId, step }: StepRef, { resolve }: Decision): Error | undefined {
  if (!resolve || !irreplaceable.has(step)) return undefined;
  const message = "nothing can be done instead of this step: mend what is wrong, and have it tried again";
  return new SagaError(SagaErrorReason.STEP_NOT_RESOLVABLE, message, { order_id: orderId, step });
}

/** What work is refused with; undefined when it is not. @throws what it fails with besides */
async function failureOf(work: () => Promise<void>): Promise<Failure | undefined> {
  try {
    await work();
    return undefined;
  } catch (error) {
    return toFailure(error);
  }
}

/** Whether a step of a workflow is one of those: as orders judges its rows. */
function matches({ step: name, parkTime }: ParkedStep, { step, olderThan }: ParkedFilter, page: ParkedPage): boolean {
  const parked = parkTime ? timestampMs(parkTime) : Date.now();
  const olderMs = olderThan ? durationMs(olderThan) : 0;
  const before = page.parkedBefore ? timestampMs(page.parkedBefore) : Number.POSITIVE_INFINITY;
  const isThat = step === "" || name === step || name.startsWith(`${step}:`);
  return isThat && parked < before && parked <= Date.now() - olderMs;
}
