import type { ServiceImpl } from "@connectrpc/connect";
import {
  type SagaCallbackService,
  type ShipmentReport,
  ShipmentResult,
} from "#gen/shop/sagas/v1/saga_callback_service_pb.js";
import { answerEach } from "#platform/batch/batch-call.ts";
import { withSubject } from "#platform/context.ts";
import type { Logger } from "#platform/log/logger.ts";
import { inParallel } from "./parallel.ts";
import type { Sagas } from "./sagas.ts";

/** Workflows that are told at the same time. */
const signalsAtOnce = 32;

const about = { method: "ReportShipment", subjectOf: ({ orderId }: ShipmentReport) => ({ "order.id": orderId }) };

/** Tells workflows what happened outside: one signal for each workflow, with all its reports. */
export function createSagaCallbackService(sagas: Sagas, logger: Logger): ServiceImpl<typeof SagaCallbackService> {
  const tell = async (sagaId: string, reports: ShipmentReport[]): Promise<boolean> => {
    try {
      await sagas.report(sagaId, reports.map(toEntry));
      return true;
    } catch (err) {
      logger.warn("a workflow could not be told about its shipments; the sender repeats it", { err });
      return false;
    }
  };
  return {
    async batchReportShipments({ reports, traceparents }) {
      const bySaga = [...Map.groupBy(reports, ({ sagaId }) => sagaId)];
      const taken = new Map<string, boolean>();
      const all = inParallel(bySaga, signalsAtOnce, async ([sagaId, ofSaga]) => {
        taken.set(sagaId, await withSubject({ "saga.id": sagaId }, () => tell(sagaId, ofSaga)));
      });
      const outcomes = await answerEach({ requests: reports, traceparents }, about, async ({ sagaId }) => {
        await all;
        return taken.get(sagaId) ?? false;
      });
      return { taken: outcomes.map(({ outcome }) => outcome.case === "response" && outcome.value) };
    },
  };
}

function toEntry({ orderId, locationId, result }: ShipmentReport) {
  return { orderId, locationId, result: result === ShipmentResult.LOST ? ("LOST" as const) : ("DELIVERED" as const) };
}
