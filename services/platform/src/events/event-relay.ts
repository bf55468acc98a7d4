import { Counter, Gauge, type Registry } from "prom-client";
import type { AuditEvent } from "#platform/audit/audit-event.ts";
import { Relay } from "#platform/batch/relay.ts";
import type { Logger } from "#platform/log/logger.ts";
import { addressOf, type EventFormat, toCloudEvent } from "./cloud-event.ts";
import { type EventTypes, isTold } from "./event-types.ts";
import type { Delivered, EventsRepository } from "./events.repository.ts";
import type { Addressed, NatsBroker } from "./nats-broker.ts";

/** What a relay of events works with. */
export interface EventRelayOptions {
  /** Whose events they are. */
  readonly service: string;
  readonly types: EventTypes;
  readonly format: EventFormat;
  readonly repository: Pick<EventsRepository, "relay" | "lagSeconds">;
  /** Without one nobody is told, and nothing is read. */
  readonly broker: Pick<NatsBroker, "open" | "deliver" | "close"> | undefined;
  readonly registry: Registry;
  readonly log: Pick<Logger, "error">;
  /** Between two looks for new events, in milliseconds; default 250, and four times that while there are none. */
  readonly everyMs?: number;
  /** The most events of one delivery; default 1,000. */
  readonly batch?: number;
}

const defaultBatch = 1_000;
/** How long busy relays collect, in milliseconds. */
const spacingMs = 100;
/** The longest pause while the broker is away, in milliseconds. */
const maxPauseMs = 5_000;

/**
 * Tells subscribers what the audit log says, each event at least once and always under the same id, the events of one subject in the order
 * in which they happened. Of several replicas one tells at a time; when it ends, however it does, another goes on.
 */
export class EventRelay {
  readonly #options: EventRelayOptions;
  readonly #relay: Relay;
  readonly #published: Counter<"action">;
  readonly #lag: Gauge;

  constructor(options: EventRelayOptions) {
    const { registry, log, everyMs = 250, batch = defaultBatch } = options;
    this.#options = options;
    this.#published = new Counter({
      name: "events_published_total",
      help: "Events that this process handed to the broker, which keeps them, by action; those that it had already are counted again.",
      labelNames: ["action"],
      registers: [registry],
    });
    this.#lag = new Gauge({
      name: "events_lag_seconds",
      help: "Age of the oldest event that the broker does not have; 0 when there is none, and without a broker.",
      registers: [registry],
    });
    this.#relay = new Relay({
      name: "telling subscribers of events",
      everyMs,
      restMs: 4 * everyMs,
      maxPauseMs,
      pace: { spacingMs: Math.min(spacingMs, everyMs), full: batch },
      log,
      sweep: () => this.publish(),
    });
  }

  /** Begins to tell, if there is a broker. */
  start(): void {
    if (this.#options.broker) this.#relay.start();
  }

  /** Ends with what is being told, and leaves the broker. */
  async stop(): Promise<void> {
    await this.#relay.stop();
    await this.#options.broker?.close();
  }

  /** Tells what can be told now, one batch of it; returns how many events that were, with those that are told to nobody. */
  async publish(): Promise<number> {
    const { repository, broker, batch = defaultBatch } = this.#options;
    try {
      // Before a transaction that would have to wait for it, and rows that nobody takes.
      await broker?.open();
      return await repository.relay(batch, (list) => this.#deliver(list));
    } finally {
      this.#lag.set(await repository.lagSeconds());
    }
  }

  async #deliver(list: readonly AuditEvent[]): Promise<Delivered> {
    const { broker } = this.#options;
    if (!broker) throw new Error("there is no broker");
    const places: number[] = [];
    const addressed: Addressed[] = [];
    for (const [place, event] of list.entries()) {
      const each = this.#address(event);
      if (!each) continue;
      places.push(place);
      addressed.push(each);
    }
    if (addressed.length === 0) return { arrived: list.length };
    const { arrived, error } = await broker.deliver(addressed);
    for (const place of places.slice(0, arrived)) this.#published.inc({ action: list[place]?.action ?? "" });
    return { arrived: places[arrived] ?? list.length, error };
  }

  /** Undefined for what is told to nobody. */
  #address(event: AuditEvent): Addressed | undefined {
    const { service, types, format, log } = this.#options;
    const type = types[event.action];
    if (type && isTold(type)) {
      return { address: addressOf(service, event.action), event: toCloudEvent(event, type, { service, format }) };
    }
    if (!type)
      log.error("subscribers are not told of an effect that the table of events lacks", {
        "event.action": event.action,
      });
    return undefined;
  }
}
