import { DeliverPolicy, jetstream } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";

/** An event as a subscriber sees it. Its id may come twice. */
export interface SeenEvent {
  readonly id: string;
  /** `shop.orders.order.confirmed.v1`. */
  readonly type: string;
  /** The order, the payment, the shipment, the customer, or `sku@location`. */
  readonly subject: string;
  readonly time: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** Which events. */
export interface Wanted {
  /** `nats://host:4222`. */
  readonly server: string;
  /** Those that the stream took from then on. */
  readonly since: Date;
  /** As NATS selects subjects; default `ordermesh.>`, all. */
  readonly filter?: string;
  /** Default "ordermesh". */
  readonly stream?: string;
}

/** The events that the stream has from a time on, in its order, up to the newest that is there. */
export async function* replay({
  server,
  since,
  filter = "ordermesh.>",
  stream = "ordermesh",
}: Wanted): AsyncGenerator<SeenEvent> {
  const connection = await connect({ servers: server, timeout: 5_000 });
  try {
    const consumer = await jetstream(connection).consumers.get(stream, {
      filter_subjects: filter,
      deliver_policy: DeliverPolicy.StartTime,
      opt_start_time: since.toISOString(),
    });
    if ((await consumer.info()).num_pending === 0) return;
    for await (const message of await consumer.consume()) {
      const header = (name: string) => decodeURIComponent(message.headers?.get(`ce-${name}`) ?? "");
      const data = message.json<SeenEvent["data"]>();
      yield { id: header("id"), type: header("type"), subject: header("subject"), time: header("time"), data };
      if (message.info.pending === 0) return;
    }
  } finally {
    await connection.close();
  }
}
