import { createInbox, type Msg, type MsgHdrs, type NatsConnection } from "@nats-io/transport-node";

/** A message for a stream. */
export interface NatsMessage {
  /** Its subject. */
  readonly address: string;
  readonly headers: MsgHdrs;
  readonly data: Uint8Array;
}

/** What JetStream answers to a message. */
interface Answer {
  readonly stream?: string;
  readonly seq?: number;
  readonly error?: { readonly code?: number; readonly description?: string };
}

type Hear = (error: Error | undefined) => void;

/** What a server answers when nobody listens. */
const nobody = 503;

/**
 * Sends messages in rounds and hears which of them the stream has taken, by one inbox and one timer for all of a round: the client's own call makes a
 * timer, a race and an error for each, which is more work than the event itself.
 */
export class NatsRounds {
  readonly #connection: NatsConnection;
  readonly #inbox = createInbox();
  readonly #waiting = new Map<string, Hear>();
  #next = 0;

  constructor(connection: NatsConnection) {
    this.#connection = connection;
    connection.subscribe(`${this.#inbox}.*`, {
      callback: (error, message) =>
        this.#hear(message?.subject.slice(this.#inbox.length + 1), error ?? faultOf(message)),
    });
    void connection.closed().then((error) => {
      for (const token of [...this.#waiting.keys()]) this.#hear(token, error ?? new Error("the connection was closed"));
    });
  }

  /** Sends all at once; returns for each what went wrong, within so many milliseconds, or undefined once the stream has it. */
  async send(messages: readonly NatsMessage[], withinMs: number): Promise<(Error | undefined)[]> {
    const outcomes: (Error | undefined)[] = messages.map(
      () => new Error(`the broker did not answer within ${withinMs} ms`),
    );
    const tokens: string[] = [];
    const { promise: heard, resolve } = Promise.withResolvers<void>();
    let left = messages.length;
    if (left === 0) return outcomes;
    const timer = setTimeout(resolve, withinMs);
    try {
      for (const [index, { address, data, headers }] of messages.entries()) {
        const token = String(this.#next++);
        tokens.push(token);
        this.#waiting.set(token, (error) => {
          outcomes[index] = error;
          left -= 1;
          if (left === 0) resolve();
        });
        this.#publish({ address, data, headers }, token);
      }
      await heard;
    } finally {
      clearTimeout(timer);
      for (const token of tokens) this.#waiting.delete(token);
    }
    return outcomes;
  }

  /** What the client does not even send, such as what is too large, has failed at once. */
  #publish({ address, data, headers }: NatsMessage, token: string): void {
    try {
      this.#connection.publish(address, data, { headers, reply: `${this.#inbox}.${token}` });
    } catch (error) {
      this.#hear(token, error instanceof Error ? error : new Error(String(error)));
    }
  }

  /** Once for each: what is heard of a round that is over counts nothing. */
  #hear(token: string | undefined, error: Error | undefined): void {
    const hear = token === undefined ? undefined : this.#waiting.get(token);
    if (token !== undefined) this.#waiting.delete(token);
    hear?.(error);
  }
}

function faultOf(message: Msg): Error | undefined {
  const { data, headers } = message;
  if (data.length === 0 && headers?.code === nobody) return new Error("no stream keeps it");
  try {
    const { stream, seq, error } = message.json<Answer>();
    if (error) return new Error(`the stream refuses it: ${error.description ?? error.code}`);
    return stream && seq ? undefined : new Error("the broker answered something else");
  } catch (error) {
    return new Error("the broker answered something else", { cause: error });
  }
}
