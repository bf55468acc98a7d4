import { connect, type Socket } from "node:net";
import { ack, endStream, FrameType, frame, frameHead, onStream, opening } from "./frames.ts";

/** Keeps a number of calls in flight on one connection. */
export class LoadConnection {
  /** Milliseconds of every call that ended well. */
  readonly latencies: number[] = [];
  failures = 0;
  readonly #socket: Socket;
  readonly #template: Buffer;
  readonly #begun = new Map<number, number>();
  readonly #answered = new Set<number>();
  #nextStream = 1;
  #rest: Buffer = Buffer.alloc(0);
  #running = false;
  #idle: (() => void) | undefined;

  private constructor(socket: Socket, template: Buffer) {
    this.#socket = socket;
    this.#template = template;
    socket.on("data", (chunk) => this.#read(chunk));
    socket.write(opening());
  }

  /** Connects to a server on this machine. */
  static open(port: number, template: Buffer): Promise<LoadConnection> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: "127.0.0.1", noDelay: true });
      socket.once("error", reject);
      socket.once("connect", () => resolve(new LoadConnection(socket, template)));
    });
  }

  /** Begins `calls` calls, and another one whenever one ends. */
  start(calls: number): void {
    this.#running = true;
    for (let index = 0; index < calls; index += 1) this.#call();
  }

  /** Begins no more calls; resolves when the last one has ended. */
  async stop(): Promise<void> {
    this.#running = false;
    if (this.#begun.size > 0) await new Promise<void>((resolve) => (this.#idle = resolve));
    this.#socket.destroy();
  }

  #call(): void {
    this.#begun.set(this.#nextStream, performance.now());
    this.#socket.write(onStream(this.#template, this.#nextStream));
    this.#nextStream += 2;
  }

  #read(chunk: Buffer): void {
    let data = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    this.#socket.cork();
    while (data.length >= frameHead) {
      const end = frameHead + data.readUIntBE(0, 3);
      if (data.length < end) break;
      this.#frame(data.subarray(0, end));
      data = data.subarray(end);
    }
    this.#rest = data;
    this.#socket.uncork();
  }

  #frame(data: Buffer): void {
    const type = data.readUInt8(3);
    const flags = data.readUInt8(4);
    const stream = data.readUInt32BE(5);
    if (type === FrameType.DATA) this.#answered.add(stream);
    else if (type === FrameType.HEADERS && flags & endStream) this.#ended(stream);
    else if (type === FrameType.RST_STREAM) this.#ended(stream);
    else if (type === FrameType.GOAWAY) throw new Error("the server closes the connection");
    else if (type === FrameType.SETTINGS && !(flags & ack)) {
      this.#socket.write(frame(FrameType.SETTINGS, ack, Buffer.alloc(0)));
    } else if (type === FrameType.PING && !(flags & ack)) {
      this.#socket.write(frame(FrameType.PING, ack, data.subarray(frameHead)));
    }
  }

  /** A call that is over without a message has failed: gRPC answers an error with trailers alone. */
  #ended(stream: number): void {
    const begun = this.#begun.get(stream);
    if (begun === undefined) return;
    this.#begun.delete(stream);
    if (this.#answered.delete(stream)) this.latencies.push(performance.now() - begun);
    else this.failures += 1;
    if (this.#running) this.#call();
    else if (this.#begun.size === 0) this.#idle?.();
  }
}
