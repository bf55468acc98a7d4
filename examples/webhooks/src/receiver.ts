import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { Webhook, WebhookVerificationError } from "standardwebhooks";

/** An event as an endpoint is told of it. */
export interface ToldEvent {
  readonly id: string;
  /** `shop.orders.order.confirmed.v1`. */
  readonly type: string;
  readonly timestamp: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** An endpoint for webhooks: it proves that it has the secret, takes only what is signed with it, and hears of each event once. */
export class Receiver implements AsyncDisposable {
  /** What CreateEndpoint, or RotateSecret, has answered: `whsec_…`. */
  secret = "";
  readonly #server = createServer(async (request, response) => {
    const { status, answer } = this.#take(request.headers, await text(request));
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(answer));
  });
  readonly #onEvent: (event: ToldEvent) => void;
  readonly #known = new Set<string>();

  private constructor(onEvent: (event: ToldEvent) => void) {
    this.#onEvent = onEvent;
  }

  static async listen(onEvent: (event: ToldEvent) => void): Promise<Receiver> {
    const receiver = new Receiver(onEvent);
    await new Promise<void>((resolve) => receiver.#server.listen(0, "127.0.0.1", resolve));
    return receiver;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  #take(headers: IncomingHttpHeaders, body: string): { readonly status: number; readonly answer: object } {
    const id = String(headers["webhook-id"]);
    try {
      const webhook = new Webhook(this.secret);
      const event = webhook.verify(body, headers as Record<string, string>) as Omit<ToldEvent, "id">;
      if (event.type === "webhooks.challenge.v1") {
        const time = new Date(Number(headers["webhook-timestamp"]) * 1_000);
        return { status: 200, answer: { signature: webhook.sign(id, time, String(event.data.challenge)) } };
      }
      // What was not known to have arrived comes again, under its id.
      if (!this.#known.has(id)) this.#onEvent({ id, ...event });
      this.#known.add(id);
      return { status: 200, answer: {} };
    } catch (error) {
      if (!(error instanceof WebhookVerificationError)) throw error;
      return { status: 401, answer: { error: error.message } };
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
