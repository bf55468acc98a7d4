// A collector of traces for tests: it counts what it is sent, and can refuse, hang or be gone.
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";

/** What the collector does with a batch. */
export type Mood = "takes" | "refuses" | "hangs";

/** A collector that listens. */
export class Collector {
  mood: Mood = "takes";
  /** Bodies of the batches that were taken. */
  readonly batches: { path: string; type: string; body: Buffer }[] = [];
  /** Batches that were given and not answered. */
  hanging = 0;
  readonly #server: Server;
  #port = 0;

  constructor() {
    this.#server = createServer((request, response) => {
      const parts: Buffer[] = [];
      request.on("data", (part) => parts.push(part));
      request.on("end", () => {
        if (this.mood === "hangs") this.hanging += 1;
        else if (this.mood === "refuses") response.writeHead(503).end();
        else {
          const { url: path = "", headers } = request;
          this.batches.push({ path, type: headers["content-type"] ?? "", body: Buffer.concat(parts) });
          response.writeHead(202).end();
        }
      });
    });
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Listens, on the port that it had before. */
  async open(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(this.#port, "127.0.0.1", resolve));
    this.#port = (this.#server.address() as AddressInfo).port;
    return this;
  }

  /** Is gone, with all its connections. */
  async close(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }
}
