import type { CarrierRequestRepository } from "../request/carrier-request.repository.ts";
import type { ClosedNews, UntoldShipment } from "./order-report.repository.ts";

/** What carriers say to turning parcels back, as news of the shipments: an outbox like that of the shipments themselves. */
export class TurnBackReportRepository {
  readonly #requests: Pick<CarrierRequestRepository, "claimNews" | "closeNews" | "deferNews">;

  constructor(requests: Pick<CarrierRequestRepository, "claimNews" | "closeNews" | "deferNews">) {
    this.#requests = requests;
  }

  /** Shipments of which orders is to be told now; nobody else gets them for the time of the lease. */
  async claimDue(leaseMs: number, limit: number): Promise<UntoldShipment[]> {
    const requests = await this.#requests.claimNews("turn_back", leaseMs, limit);
    return requests.map(({ shipment, state }) => ({
      ...shipment,
      news: state === "agreed" ? "turning_back" : "turn_back_refused",
    }));
  }

  /** These are done with. */
  close(closed: readonly ClosedNews[]): Promise<void> {
    return this.#requests.closeNews(closed.map(({ shipment }) => shipment.shipmentId));
  }

  /** Orders has not taken these: it is told again after a pause that doubles. */
  defer(shipments: readonly UntoldShipment[]): Promise<void> {
    return this.#requests.deferNews(shipments.map(({ shipmentId }) => shipmentId));
  }
}
