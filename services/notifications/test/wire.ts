import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** Whether a connection is to end now that one side says this: half of it still arrives. */
export type Cut = (said: string, by: "client" | "server") => boolean;

/** What lies between a mail server and who sends mails to it, and may break. */
export class Wire implements AsyncDisposable {
  /** When it breaks from now on; never by default. */
  cut: Cut = () => false;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(to: number) {
    this.#server = createServer((client) => this.#carry(client, connect(to, "127.0.0.1")));
  }

  /** @param to a port of this machine */
  static async to(to: number): Promise<Wire> {
    const wire = new Wire(to);
    await once(wire.#server.listen(0, "127.0.0.1"), "listening");
    return wire;
  }

  get url(): string {
    return `smtp://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #carry(client: Socket, server: Socket): void {
    let isCut = false;
    const end = () => {
      client.destroy();
      server.destroy();
    };
    for (const [socket, other, by] of [
      [client, server, "client"],
      [server, client, "server"],
    ] as const) {
      this.#sockets.add(socket);
      socket.on("error", end);
      socket.on("close", () => {
        this.#sockets.delete(socket);
        end();
      });
      socket.on("data", (said) => {
        if (isCut) return;
        isCut = this.cut(said.toString("latin1"), by);
        if (isCut) other.write(said.subarray(0, said.length / 2), end);
        else other.write(said);
      });
    }
  }
}
