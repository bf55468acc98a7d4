// Sends requests as they are, valid or not, on every face of a process.
import { Code } from "@connectrpc/connect";
import { codeFromString } from "@connectrpc/connect/protocol-connect";
import { Client, credentials, Metadata, type ServiceError } from "@grpc/grpc-js";
import { type Service, services } from "../../../services/services.ts";
import type { Stack } from "../../stack/stack.ts";
import type { ContractCall } from "./contract-fields.ts";
import type { Proofs } from "./proofs.ts";

/** How a call ended; 0 is success. */
export interface Outcome {
  readonly code: number;
  readonly text: string;
  /** The message of the answer, in JSON or in bytes as the face has it; of a stream there is none. */
  readonly answer?: Buffer;
}

/** A face, and whether it takes JSON or bytes. */
export const rawFaces = { JSON: "json", Connect: "bytes", "gRPC-Web": "bytes", gRPC: "bytes" } as const;
export type RawFace = keyof typeof rawFaces;

/** Longer than a timer waits, and a name in an alphabet of its own: of no call may it decide the end. */
const httpHeaders = {
  "connect-timeout-ms": "9999999999",
  baggage: Buffer.from("user.id=Jürgen").toString("latin1"),
};
const longTimeoutMs = 3_000_000_000;

function framed(body: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(body.length, 1);
  return Buffer.concat([head, body]);
}

/** The first message of an answer of gRPC-Web. */
function unframed(body: Buffer): Buffer {
  return body.subarray(5, 5 + body.readUInt32BE(1));
}

/** The code of an answer of Connect or gRPC-Web, whose stream is text as far as it matters. */
function codeIn(status: number, text: string, face: RawFace): number {
  if (face === "gRPC-Web")
    return Number(/grpc-status: ?(\d+)/i.exec(text)?.[1] ?? (status === 200 ? 0 : Code.Internal));
  const [, name = ""] = /"code":"(\w+)"/.exec(text) ?? [];
  if (status === 200 && !/"error":\{/.test(text)) return 0;
  return codeFromString(name as never) ?? Code.Internal;
}

/** Calls the processes of a stack. */
export class RawCaller implements Disposable {
  readonly #clients: ReadonlyMap<Service, Client>;
  readonly #stack: Stack;
  readonly #proofs: Proofs;

  constructor(stack: Stack, proofs: Proofs) {
    this.#stack = stack;
    this.#proofs = proofs;
    const open = (service: Service) => new Client(stack.address(service), credentials.createInsecure());
    this.#clients = new Map(services.map((service) => [service, open(service)]));
  }

  /** Sends JSON or bytes; of a stream only the beginning is waited for. */
  send(call: ContractCall, face: RawFace, body: Buffer): Promise<Outcome> {
    return face === "gRPC" ? this.#overGrpc(call, body) : this.#overHttp(call, { face, body });
  }

  async #overHttp(call: ContractCall, { face, body: sent }: { face: RawFace; body: Buffer }): Promise<Outcome> {
    const { server, method } = call;
    const stream = method.methodKind !== "unary";
    const kind = face === "JSON" ? "json" : "proto";
    const type = face === "gRPC-Web" ? "application/grpc-web+proto" : `application/${stream ? "connect+" : ""}${kind}`;
    const ending = new AbortController();
    const response = await fetch(`${this.#stack.httpUrl(server)}/${method.parent.typeName}/${method.name}`, {
      method: "POST",
      headers: { "content-type": type, ...httpHeaders, ...this.#proofs.for(call) },
      body: new Uint8Array(stream || face === "gRPC-Web" ? framed(sent) : sent),
      signal: ending.signal,
    });
    const chunks: Buffer[] = [];
    for await (const chunk of response.body ?? []) {
      chunks.push(Buffer.from(chunk));
      if (stream) break;
    }
    if (stream) ending.abort();
    const body = Buffer.concat(chunks);
    const text = body.toString("latin1");
    const code = codeIn(response.status, text, face);
    const told = { code, text: text.slice(0, 2_000) };
    if (code !== 0 || stream) return told;
    return { ...told, answer: face === "gRPC-Web" ? unframed(body) : body };
  }

  #overGrpc(contractCall: ContractCall, body: Buffer): Promise<Outcome> {
    const { server, method } = contractCall;
    const client = this.#clients.get(server) as Client;
    const same = (buffer: Buffer) => buffer;
    const options = { deadline: Date.now() + longTimeoutMs };
    return new Promise((resolve) => {
      const metadata = Metadata.fromHttp2Headers({ ...this.#proofs.for(contractCall) });
      const path = `/${method.parent.typeName}/${method.name}`;
      const call = client.makeServerStreamRequest(path, same, same, body, metadata, options);
      call.once("data", (answer: Buffer) => {
        resolve({ code: 0, text: "", answer });
        if (method.methodKind !== "unary") call.cancel();
      });
      call.on("error", ({ code, details }: ServiceError) => resolve({ code, text: details }));
      call.once("end", () => resolve({ code: 0, text: "" }));
    });
  }

  [Symbol.dispose](): void {
    for (const client of this.#clients.values()) client.close();
  }
}
