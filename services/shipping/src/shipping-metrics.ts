import { Gauge, Histogram, type Registry } from "prom-client";
import type { BatcherMetrics } from "#platform/database/batcher.ts";
import type { RelayMetrics } from "#platform/database/relay.ts";
import type { Shipment } from "./shipment.ts";

/** What the shipping service measures. */
export class ShippingMetrics {
  readonly #shipping: Histogram<"status">;
  readonly #lists: Histogram<"batch">;
  readonly #relays: Gauge<"relay">;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#shipping = new Histogram({
      name: "shipping_seconds",
      help: "Time from a shipment's creation until the carrier had decided on it, and until it ended.",
      labelNames: ["status"],
      buckets: [0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 600, 3600, 86400, 604800],
      registers,
    });
    this.#lists = new Histogram({
      name: "shipping_list_size",
      help: "Entries that went together in one statement.",
      labelNames: ["batch"],
      buckets: [1, 2, 4, 8, 16, 32, 64, 128, 256],
      registers,
    });
    this.#relays = new Gauge({
      name: "shipping_relay_lag_seconds",
      help: "Time between the last two sweeps that succeeded.",
      labelNames: ["relay"],
      registers,
    });
  }

  /** Notes what became of a shipment. */
  readonly reached = (shipment: Shipment): void => {
    const seconds = (Date.now() - shipment.createTime.getTime()) / 1_000;
    this.#shipping.observe({ status: shipment.status.toUpperCase() }, Math.max(0, seconds));
  };

  /** Notes the lists of one batcher. */
  readonly batch = (name: string): BatcherMetrics => {
    const child = this.#lists.labels({ batch: name });
    return { taken: (entries) => child.observe(entries) };
  };

  /** Notes the sweeps of one relay. */
  relay(name: string): RelayMetrics {
    const child = this.#relays.labels({ relay: name });
    return { swept: (_handled, lagMs) => child.set(lagMs / 1_000) };
  }
}

/** A batcher's name with its metrics, if there are any. */
export function withMetrics(
  name: string,
  metrics: ((name: string) => BatcherMetrics) | undefined,
): { name: string; metrics?: BatcherMetrics } {
  return metrics ? { name, metrics: metrics(name) } : { name };
}
