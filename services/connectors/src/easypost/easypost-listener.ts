import type { Client } from "@connectrpc/connect";
import type { TrackingEvent } from "#gen/shop/shipping/v1/shipment_pb.js";
import { ShippingErrorReason } from "#gen/shop/shipping/v1/shipping_error_reason_pb.js";
import type { ShippingService } from "#gen/shop/shipping/v1/shipping_service_pb.js";
import type { Logger } from "#platform/log/logger.ts";
import { NotNow } from "../webhook.ts";
import type { EasypostCarrier } from "./easypost-carrier.ts";
import type { Parcel } from "./parcel.ts";
import { eventsOf } from "./tracking.ts";

/** What a listener works with. */
export interface EasypostListenerOptions {
  readonly carrier: Pick<EasypostCarrier, "lookAt" | "track">;
  readonly shipping: Pick<Client<typeof ShippingService>, "reportTrackingEvents">;
  readonly log: Pick<Logger, "error">;
}

/** How long one call to shipping may take, in milliseconds. */
const timeoutMs = 5_000;
/** The most reports of a call. */
const mostReports = 256;
const notFound = ShippingErrorReason[ShippingErrorReason.SHIPMENT_NOT_FOUND];

/** Tells shipping what happens to parcels, when EasyPost says that something has. */
export class EasypostListener {
  readonly #options: EasypostListenerOptions;

  constructor(options: EasypostListenerOptions) {
    this.#options = options;
  }

  /**
   * Looks at a shipment, and reports all that its carrier has said: shipping takes each report once.
   *
   * @throws NotNow when that is not known now, or shipping does not take it
   */
  async look(shipmentId: string): Promise<void> {
    const { carrier } = this.#options;
    const parcel = await carrier.lookAt(shipmentId);
    // Somebody else's, or the label of a return, whose way nobody asks for.
    if (parcel?.kind !== "parcel") return;
    if (parcel.state === "begun" || parcel.state === "sent")
      throw new NotNow("whether its label was bought is not known");
    if (parcel.state !== "booked") return;
    const way = await carrier.track(parcel);
    if (way.state === "undecided") throw new NotNow("EasyPost does not say where the parcel is");
    const events = way.state === "known" && way.tracker ? eventsOf(way.tracker) : [];
    for (let from = 0; from < events.length; from += mostReports) {
      await this.#report(parcel, events.slice(from, from + mostReports));
    }
  }

  async #report({ key, trackingNumber }: Parcel, events: readonly TrackingEvent[]): Promise<void> {
    const { shipping, log } = this.#options;
    const requests = events.map((event) => ({ trackingNumber, event }));
    const { outcomes } = await shipping.reportTrackingEvents({ requests }, { timeoutMs }).catch((cause: unknown) => {
      throw new NotNow("shipping does not answer", { cause });
    });
    for (const { outcome } of outcomes) {
      if (outcome.case === "response") continue;
      // It has not written down yet that the parcel left.
      if (outcome.value?.reason === notFound) throw new NotNow("shipping does not know the parcel");
      const reason = outcome.value?.reason ?? "nothing is said";
      log.error("shipping refuses a report of a carrier", { "shipment.id": key, "error.type": reason });
    }
  }
}
