import type { Client } from "@connectrpc/connect";
import {
  BatchReportShipmentsRequestSchema,
  type SagaCallbackService,
  ShipmentResult,
} from "#gen/shop/sagas/v1/saga_callback_service_pb.js";
import { whole } from "#platform/whole.ts";
import { resumeBatch } from "../shipment/resumed-batch.ts";
import type { Shipment, ShipmentStatus } from "../shipment/shipment.ts";
import type { SagaReportRepository } from "./saga-report.repository.ts";

/** What the reporting works with. */
export interface SagaReportOptions {
  readonly repository: SagaReportRepository;
  readonly sagas: Client<typeof SagaCallbackService>;
  /** How long one call to the worker may take, in milliseconds. */
  readonly timeoutMs: number;
}

const batchSize = 256;
const results: Partial<Record<ShipmentStatus, ShipmentResult>> = {
  delivered: ShipmentResult.DELIVERED,
  lost: ShipmentResult.LOST,
  // It knows of none that come back; what it costs is paid back in either case.
  returned: ShipmentResult.LOST,
};

/** Tells sagas how their shipments ended, until they have taken it. */
export class SagaReport {
  readonly #options: SagaReportOptions;

  constructor(options: SagaReportOptions) {
    this.#options = options;
  }

  /**
   * Tells what is due; returns how many were taken. The table is the outbox: what a crash leaves behind is due again after
   * its lease, and a saga that hears something twice takes it once.
   *
   * @throws what the call to the worker threw, after all were put back
   */
  async sweep(signal: AbortSignal): Promise<number> {
    const { repository, timeoutMs } = this.#options;
    const shipments = await repository.claimDue(2 * timeoutMs, batchSize);
    if (shipments.length === 0) return 0;
    const batch = { name: "report shipment", shipments, attributesOf };
    const answers = await resumeBatch(batch, (traceparents) => this.#tell(shipments, traceparents, signal), outcomeOf);
    await repository.taken(shipments.filter((_, index) => answers[index]));
    await repository.defer(shipments.filter((_, index) => !answers[index]));
    return answers.filter(Boolean).length;
  }

  async #tell(
    shipments: readonly Shipment[],
    traceparents: readonly string[],
    signal: AbortSignal,
  ): Promise<readonly boolean[]> {
    const { repository, sagas, timeoutMs } = this.#options;
    const reports = shipments.map(({ sagaId, orderId, locationId, status }) => ({
      sagaId,
      orderId,
      locationId,
      result: results[status] ?? ShipmentResult.UNSPECIFIED,
    }));
    const request = whole(BatchReportShipmentsRequestSchema, { reports, traceparents: [...traceparents] });
    try {
      return (await sagas.batchReportShipments(request, { signal, timeoutMs })).taken;
    } catch (error) {
      await repository.defer(shipments);
      throw error;
    }
  }
}

function attributesOf({ sagaId, status }: Shipment) {
  return { "saga.id": sagaId, "shipment.status": status };
}

function outcomeOf(taken: boolean | undefined): string {
  return taken ? "done" : "pending";
}
