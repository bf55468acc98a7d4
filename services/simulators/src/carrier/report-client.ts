import type { Client } from "@connectrpc/connect";
import type { ReportTrackingEventOutcome, ShippingService } from "#gen/shop/shipping/v1/shipping_service_pb.js";
import { Batcher } from "#platform/batch/batcher.ts";
import type { CarrierReport } from "./carrier-clock.ts";
import { toTrackingEvent } from "./carrier-connector-api.ts";

/** How long one call to shipping may take, in milliseconds. */
const timeoutMs = 5_000;

/** Shipping did not take a report. */
class ReportRefusedError extends Error {
  override readonly name = "ReportRefusedError";
}

/** Tells shipping what happens to parcels; what is told at the same time goes together. */
export class ReportClient {
  readonly #reports: Batcher<CarrierReport, ReportTrackingEventOutcome>;

  constructor(shipping: Pick<Client<typeof ShippingService>, "reportTrackingEvents">) {
    this.#reports = new Batcher({
      name: "simulator.report",
      run: async (reports) => {
        const requests = reports.map(({ trackingNumber, event }) => ({
          trackingNumber,
          event: toTrackingEvent(event),
        }));
        const { outcomes } = await shipping.reportTrackingEvents({ requests }, { timeoutMs });
        return outcomes;
      },
    });
  }

  /** @throws when it was not taken: it is to be told again */
  async report(report: CarrierReport): Promise<void> {
    const { outcome } = await this.#reports.submit(report);
    if (outcome.case !== "response") throw new ReportRefusedError(outcome.value?.message ?? "there is no outcome");
  }

  /** Takes nothing more, and ends once all is told that was taken. */
  async drain(): Promise<void> {
    await this.#reports.drain();
  }
}
