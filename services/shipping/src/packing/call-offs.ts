import { SpanKind } from "@opentelemetry/api";
import { sendTogether } from "#platform/batch/send-together.ts";
import { isAway } from "#platform/grpc/breaker.ts";
import type { Logger } from "#platform/log/logger.ts";
import type { CallOffOutcome } from "../shipment/metrics.ts";
import { resumeBatch } from "../shipment/resumed-batch.ts";
import type { CallOff, CallOffRepository } from "./call-off.repository.ts";
import type { CallOffState, Warehouse } from "./warehouse.ts";

/** What the telling works with. */
export interface CallOffsOptions {
  readonly repository: Pick<CallOffRepository, "claimDue" | "close" | "defer">;
  readonly warehouse: Pick<Warehouse, "callOff">;
  /** Told of what has left, and of what the warehouse never hears. */
  readonly log: Pick<Logger, "warn">;
  /** How long the calls of one sweep may take together, in milliseconds. */
  readonly timeoutMs: number;
  readonly onOutcome?: (outcome: CallOffOutcome) => void;
}

const batchSize = 256;
/** How long the warehouse is told, in milliseconds: a day, after which nobody packs any more what was to leave then. */
const patienceMs = 86_400_000;

/** What the warehouse said, or why it said nothing. */
type Answer = CallOffState | Error;

/**
 * Tells the warehouse what was called off, until it has heard: it packs in vain until then. That it hears late, or never, changes nothing of what was
 * decided: the shipment does not leave.
 */
export class CallOffs {
  readonly #options: CallOffsOptions;

  constructor(options: CallOffsOptions) {
    this.#options = options;
  }

  /** Tells what is due; returns of how many it is known now what became of them. What one process claimed and did not finish is due again after its lease. */
  async sweep(within: AbortSignal): Promise<number> {
    const { repository, timeoutMs } = this.#options;
    const due = await repository.claimDue(patienceMs, 2 * timeoutMs, batchSize);
    if (due.length === 0) return 0;
    const batch = {
      name: "warehouse cancel",
      kind: SpanKind.CLIENT,
      shipments: due,
      attributesOf: () => ({ "peer.service": "warehouse" }),
    };
    const outcomes = await resumeBatch<CallOffOutcome | undefined, CallOff>(
      batch,
      async () => this.#settle(due, await this.#tell(due, within)),
      (outcome) => outcome ?? "pending",
    );
    return outcomes.filter((outcome) => outcome !== undefined).length;
  }

  #tell(due: readonly CallOff[], within: AbortSignal): Promise<Answer[]> {
    const { warehouse, timeoutMs } = this.#options;
    const signal = AbortSignal.any([within, AbortSignal.timeout(timeoutMs)]);
    const send = (some: readonly CallOff[]) =>
      warehouse.callOff(
        some.map(({ shipmentId }) => shipmentId),
        signal,
      );
    return sendTogether(due, send);
  }

  async #settle(due: readonly CallOff[], answers: readonly Answer[]): Promise<(CallOffOutcome | undefined)[]> {
    const { repository, onOutcome } = this.#options;
    const outcomes = due.map((callOff, index) => this.#outcomeOf(callOff, answers[index] ?? "undecided"));
    await repository.close(due.filter((_, index) => outcomes[index] !== undefined));
    await repository.defer(due.filter((_, index) => outcomes[index] === undefined));
    for (const outcome of outcomes) if (outcome) onOutcome?.(outcome);
    return outcomes;
  }

  /** Undefined: it is told again. That the warehouse is away is said once, by whoever calls it. */
  #outcomeOf({ shipmentId, orderId, isLate }: CallOff, answer: Answer): CallOffOutcome | undefined {
    const { log } = this.#options;
    const fields = { "shipment.id": shipmentId, "order.id": orderId };
    if (answer === "gone") log.warn("a shipment that was called off has left the warehouse", fields);
    if (typeof answer === "string" && answer !== "undecided") return answer;
    if (isLate) {
      log.warn("the warehouse has not heard in time that a shipment is called off", fields);
      return "given_up";
    }
    if (answer instanceof Error && !isAway(answer))
      log.warn("the warehouse fails for a call-off and will be told again", { ...fields, err: answer });
    return undefined;
  }
}
