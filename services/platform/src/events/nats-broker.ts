import { headers, type NatsConnection } from "@nats-io/transport-node";
import { type CloudEvent, headerText } from "./cloud-event.ts";
import type { Delivered } from "./events.repository.ts";
import { answerMs, connectNats, type NatsOptions } from "./nats-connection.ts";
import { type NatsMessage, NatsRounds } from "./nats-rounds.ts";
import { roundsOf } from "./rounds.ts";

/** An event with the subject of NATS that it goes to. */
export interface Addressed {
  /** `ordermesh.<service>.<action>`. */
  readonly address: string;
  readonly event: CloudEvent;
}

/** How long a whole delivery may take, in milliseconds: the cursor's transaction waits for it. */
const deliveryMs = 5_000;
/** Events on their way at the same time. */
const mostOnTheirWay = 256;

/** NATS JetStream. A connection that fails in any way is given up, with what it has buffered; the next delivery makes another. */
export class NatsBroker {
  readonly #options: NatsOptions;
  #connected: { readonly connection: NatsConnection; readonly rounds: NatsRounds } | undefined;

  constructor(options: NatsOptions) {
    this.#options = options;
    options.password?.onChange(() => void this.close());
  }

  /**
   * Connects, unless it is connected, and sees that there is the stream.
   *
   * @throws Error when there is no such broker, or no such stream
   */
  async open(): Promise<void> {
    await this.#connect();
  }

  /**
   * Sends events in the order of the list, of one subject one after the other, and returns once the stream keeps them; an event that it
   * keeps already counts as well. One that does not arrive holds back what comes after it.
   *
   * @throws Error when there is no such broker, or no such stream
   */
  async deliver(list: readonly Addressed[]): Promise<Delivered> {
    const end = performance.now() + deliveryMs;
    const { rounds } = await this.#connect();
    const arrived = new Set<Addressed>();
    let error: Error | undefined;
    for (const round of roundsOf(list, ({ event }) => event.attributes.subject, mostOnTheirWay)) {
      if (error !== undefined || performance.now() > end) break;
      const outcomes = await rounds.send(
        round.map((each) => this.#message(each)),
        answerMs,
      );
      for (const [index, each] of round.entries()) {
        if (outcomes[index] === undefined) arrived.add(each);
        else error ??= outcomes[index];
      }
    }
    if (error !== undefined) await this.close();
    const missing = list.findIndex((each) => !arrived.has(each));
    return { arrived: missing < 0 ? list.length : missing, error };
  }

  /** Gives the connection up. What is on its way arrives or does not. */
  async close(): Promise<void> {
    const connected = this.#connected;
    this.#connected = undefined;
    await connected?.connection.close();
  }

  #message({ address, event: { attributes, data } }: Addressed): NatsMessage {
    const all = headers();
    all.set("Nats-Msg-Id", attributes.id);
    all.set("Nats-Expected-Stream", this.#options.stream.name);
    for (const [name, value] of Object.entries(attributes)) all.set(`ce-${name}`, headerText(value));
    return { address, data, headers: all };
  }

  async #connect() {
    if (this.#connected && !this.#connected.connection.isClosed()) return this.#connected;
    const connection = await connectNats(this.#options);
    this.#connected = { connection, rounds: new NatsRounds(connection) };
    return this.#connected;
  }
}
