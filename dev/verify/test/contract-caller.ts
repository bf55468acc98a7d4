import type { Message } from "@bufbuild/protobuf";
import { createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { openChannel } from "#platform/grpc/channel.ts";
import { GrpcTransport } from "#platform/grpc/transport.ts";
import { type Service, services } from "../../../services/services.ts";
import type { Stack } from "../../stack/stack.ts";
import type { ContractCall } from "./contract-fields.ts";
import type { Proofs } from "./proofs.ts";

const timeoutMs = 20_000;
const maxMessageBytes = 8 * 1024 * 1024;

/** Calls any method of a stack's processes, by gRPC and by JSON over HTTP in turn. */
export class ContractCaller implements Disposable {
  readonly #channels: ReturnType<typeof openChannel>[] = [];
  readonly #transports: ReadonlyMap<Service, readonly Transport[]>;
  readonly #proofs: Proofs;
  #calls = 0;

  constructor(stack: Stack, proofs: Proofs) {
    this.#proofs = proofs;
    this.#transports = new Map(services.map((service) => [service, this.#transportsTo(stack, service)]));
  }

  /** How many calls were made. */
  get calls(): number {
    return this.#calls;
  }

  #transportsTo(stack: Stack, service: Service): Transport[] {
    const address = stack.address(service);
    const channel = openChannel(address, maxMessageBytes);
    this.#channels.push(channel);
    const grpc = new GrpcTransport(channel, { defaultTimeoutMs: timeoutMs, address });
    const json = createConnectTransport({
      baseUrl: stack.httpUrl(service),
      httpVersion: "1.1",
      useBinaryFormat: false,
    });
    return [grpc, grpc, grpc, json];
  }

  /** The answer, or the first message of a stream. @throws ConnectError */
  async call(contractCall: ContractCall, request: Message, headers: Record<string, string> = {}): Promise<unknown> {
    const { server, method } = contractCall;
    const transports = this.#transports.get(server) ?? [];
    const transport = transports[this.#calls++ % transports.length] as Transport;
    const client = createClient(method.parent, transport) as unknown as Record<
      string,
      (...given: unknown[]) => unknown
    >;
    const answer = client[method.localName]?.(request, {
      timeoutMs,
      headers: { ...headers, ...this.#proofs.for(contractCall) },
    });
    if (method.methodKind === "unary") return answer;
    for await (const message of answer as AsyncIterable<unknown>) return message;
    return undefined;
  }

  [Symbol.dispose](): void {
    for (const channel of this.#channels) channel.close();
  }
}

/** Does something for each of a list, so many at the same time. */
export async function each<T>(list: readonly T[], atOnce: number, work: (entry: T) => Promise<void>): Promise<void> {
  const rest = list.values();
  const worker = async () => {
    for (const entry of rest) await work(entry);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}
