import type { ServiceImpl } from "@connectrpc/connect";
import {
  type SagaCallbackService,
  type ShipmentReport,
  ShipmentResult,
} from "#gen/shop/sagas/v1/saga_callback_service_pb.js";
import type { Logger } from "#platform/logger.ts";
import { inParallel } from "./parallel.ts";
import type { Sagas } from "./sagas.ts";

/** Workflows that are told at the same time. */
const SIGNALS_AT_ONCE = 32;

/** Tells workflows what happened outside: one signal for each workflow, with all its reports. */
export function createSagaCallbackService(sagas: Sagas, logger: Logger): ServiceImpl<typeof SagaCallbackService> {
  return {
    async batchReportShipments({ reports }) {
      const bySaga = Map.groupBy(reports, ({ sagaId }) => sagaId);
      const told = await inParallel([...bySaga], SIGNALS_AT_ONCE, async ([sagaId, ofSaga]) => {
        try {
          await sagas.report(sagaId, ofSaga.map(toEntry));
          return sagaId;
        } catch (err) {
          logger.warn("a workflow could not be told about its shipments; the sender repeats it", { sagaId, err });
          return undefined;
        }
      });
      const taken = new Set(told);
      return { taken: reports.map(({ sagaId }) => taken.has(sagaId)) };
    },
  };
}

function toEntry({ orderId, locationId, result }: ShipmentReport) {
  return { orderId, locationId, result: result === ShipmentResult.LOST ? ("LOST" as const) : ("DELIVERED" as const) };
}
