import type { ServiceImpl } from "@connectrpc/connect";
import {
  type BatchReportShipmentsRequest,
  BatchReportShipmentsResponseSchema,
  type SagaCallbackService,
  type ShipmentReport,
  ShipmentResult,
} from "#gen/shop/sagas/v1/saga_callback_service_pb.js";
import { answerEach } from "#platform/batch/batch-call.ts";
import { withSubject } from "#platform/context.ts";
import type { Logger } from "#platform/log/logger.ts";
import { inParallel } from "#platform/parallel.ts";
import { whole } from "#platform/whole.ts";
import type { ParcelReportEntry } from "../workflows/legacy/messages.ts";
import type { LegacySagas } from "./legacy-sagas.ts";

/** Workflows that are told at the same time. */
const signalsAtOnce = 32;

const about = { method: "ReportShipment", subjectOf: ({ orderId }: ShipmentReport) => ({ "order.id": orderId }) };

/** Tells workflows of the kind before episodes what happened outside. */
export class SagaCallbackApi implements ServiceImpl<typeof SagaCallbackService> {
  readonly #sagas: LegacySagas;
  readonly #logger: Pick<Logger, "warn">;

  constructor(sagas: LegacySagas, logger: Pick<Logger, "warn">) {
    this.#sagas = sagas;
    this.#logger = logger;
  }

  /** Sends one signal to each workflow, with all its reports. */
  async batchReportShipments({ reports, traceparents }: BatchReportShipmentsRequest) {
    const bySaga = [...Map.groupBy(reports, ({ sagaId }) => sagaId)];
    const taken = new Map<string, boolean>();
    const all = inParallel(bySaga, signalsAtOnce, async ([sagaId, ofSaga]) => {
      taken.set(sagaId, await withSubject({ "saga.id": sagaId }, () => this.#tell(sagaId, ofSaga)));
    });
    const outcomes = await answerEach({ requests: reports, traceparents }, about, async ({ sagaId }) => {
      await all;
      return taken.get(sagaId) ?? false;
    });
    return whole(BatchReportShipmentsResponseSchema, {
      taken: outcomes.map(({ outcome }) => outcome.case === "response" && outcome.value),
    });
  }

  async #tell(sagaId: string, reports: ShipmentReport[]): Promise<boolean> {
    try {
      await this.#sagas.report(sagaId, reports.map(toEntry));
      return true;
    } catch (err) {
      this.#logger.warn("a workflow could not be told about its shipments; the sender repeats it", { err });
      return false;
    }
  }
}

function toEntry({ orderId, locationId, result }: ShipmentReport): ParcelReportEntry {
  return { orderId, locationId, result: result === ShipmentResult.LOST ? "LOST" : "DELIVERED" };
}
