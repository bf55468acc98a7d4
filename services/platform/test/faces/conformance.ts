// A service with one method of each kind, as the tests of the faces run it: in this process, on ports that are free.
import { setTimeout as pause } from "node:timers/promises";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import {
  type AccumulateRequest,
  ConformanceService,
  type CountRequest,
  type EchoRequest,
  type EchoResponseSchema,
  ErrorKind,
  type ListItemsRequest,
  type ObserveRequest,
  type SumRequest,
} from "#gen/ordermesh/testing/v1/conformance_service_pb.js";
import { PlatformErrorReason, PlatformErrorReasonSchema } from "#gen/shop/type/v1/platform_error_reason_pb.js";
import { remainingMs, requestContext } from "#platform/context.ts";
import { defineErrors, PlatformError } from "#platform/errors.ts";
import { PageTokens } from "#platform/page-token.ts";
import { launch, type RunningService } from "#platform/process/runtime.ts";
import { register, type ServiceDefinition } from "#platform/process/service.ts";
import { resting } from "#platform/resting.ts";
import { pageTokenSecret } from "#testing/secret.ts";

const TestError = defineErrors<PlatformErrorReason>({
  domain: "testing.ordermesh",
  reasons: PlatformErrorReasonSchema,
  codes: {
    [PlatformErrorReason.UNSPECIFIED]: Code.Unknown,
    [PlatformErrorReason.REQUEST_ID_REUSED]: Code.AlreadyExists,
    [PlatformErrorReason.INVALID_PAGE_TOKEN]: Code.InvalidArgument,
    [PlatformErrorReason.OVERLOADED]: Code.ResourceExhausted,
    [PlatformErrorReason.CONFLICT]: Code.Aborted,
    [PlatformErrorReason.UNAVAILABLE]: Code.Unavailable,
    [PlatformErrorReason.INVALID_ID]: Code.NotFound,
    [PlatformErrorReason.ANSWER_TOO_LARGE]: Code.ResourceExhausted,
    [PlatformErrorReason.CREDENTIAL_MISSING]: Code.Unauthenticated,
    [PlatformErrorReason.CREDENTIAL_REFUSED]: Code.Unauthenticated,
    [PlatformErrorReason.NOT_PERMITTED]: Code.PermissionDenied,
    [PlatformErrorReason.RATE_LIMITED]: Code.ResourceExhausted,
  },
});

/** What an unforeseen error says; no caller may see it. */
export const hiddenText = "the password is hunter2";

function throwAs(kind: ErrorKind): void {
  const { REQUEST_ID_REUSED, OVERLOADED } = PlatformErrorReason;
  if (kind === ErrorKind.DOMAIN) throw new TestError(REQUEST_ID_REUSED, "no, because äöü", { sku: "A-1" });
  if (kind === ErrorKind.OVERLOADED) throw new PlatformError(OVERLOADED, "later", {}, { retryAfterMs: 1500 });
  if (kind === ErrorKind.INTERNAL) throw new TypeError(hiddenText);
  if (kind === ErrorKind.CONFLICT) throw Object.assign(new Error("deadlock detected"), { code: "40P01" });
}

/** One call that holds, as the tests see it. */
class Hold {
  readonly began = Promise.withResolvers<void>();
  readonly released = Promise.withResolvers<void>();
  readonly aborted = Promise.withResolvers<string>();
}

/** The whole numbers after one, up to another. */
function range(after: number, last: number): number[] {
  return Array.from({ length: last - after }, (_, index) => after + index + 1);
}

/** The service under test. */
export class Conformance implements ServiceImpl<typeof ConformanceService> {
  /** How often Echo was called. */
  calls = 0;
  /** Who was answerable for the last call of Echo. */
  lastActor = "";
  readonly #holds = new Map<string, Hold>();
  readonly #pageTokens = new PageTokens(pageTokenSecret);

  #hold(name: string): Hold {
    const hold = this.#holds.get(name) ?? new Hold();
    this.#holds.set(name, hold);
    return hold;
  }

  /** Holds until it is released or, unless stubborn, the caller goes away. */
  async #wait(name: string, signal: AbortSignal, stubborn = false): Promise<void> {
    if (!name) return;
    const hold = this.#hold(name);
    const gone = Promise.withResolvers<never>();
    gone.promise.catch(() => undefined);
    signal.addEventListener("abort", () => {
      hold.aborted.resolve(String(signal.reason?.rawMessage ?? signal.reason));
      gone.reject(signal.reason);
    });
    hold.began.resolve();
    await Promise.race(stubborn ? [hold.released.promise] : [hold.released.promise, gone.promise]);
  }

  /** Resolves when a call with this hold runs. */
  held(name: string): Promise<void> {
    return this.#hold(name).began.promise;
  }

  /** Lets a call go on. */
  release(name: string): void {
    this.#hold(name).released.resolve();
  }

  /** Resolves with the reason when the caller of a held call has gone. */
  gone(name: string): Promise<string> {
    return this.#hold(name).aborted.promise;
  }

  async echo(request: EchoRequest, context: HandlerContext): Promise<MessageInitShape<typeof EchoResponseSchema>> {
    this.calls += 1;
    this.lastActor = requestContext().actor ?? "";
    const asked = context.requestHeader.get("x-ask");
    if (asked) {
      context.responseHeader.set("x-answer", asked);
      context.responseTrailer.set("x-after", asked);
      context.responseTrailer.set("x-after-bin", Buffer.from(asked).toString("base64"));
    }
    throwAs(request.error);
    const wait = () => this.#wait(request.hold, context.signal, request.stubborn);
    await (request.rests ? resting(wait) : wait());
    const remaining = remainingMs();
    return {
      text: request.text,
      payload: new Uint8Array(request.payloadBytes),
      requestId: requestContext().requestId ?? "",
      remainingMs: BigInt(Number.isFinite(remaining) ? remaining : 0),
      receivedBytes: request.payload.length,
    };
  }

  async listItems({ count, itemSize, ...request }: ListItemsRequest) {
    const { items, nextPageToken } = await this.#pageTokens.page(request, {
      filter: ["ListItems", count, itemSize],
      place: Number,
      read: async ({ after = 0, limit }) => range(after, Math.min(count, after + limit)),
      cursorOf: (number) => number,
    });
    const text = "i".repeat(itemSize);
    return { items: items.map((number) => ({ number, text })), nextPageToken };
  }

  async observe(request: ObserveRequest) {
    if (request.held) await this.held(request.held);
    if (request.release) this.release(request.release);
    return { reason: request.aborted ? await this.gone(request.aborted) : "" };
  }

  async *count(request: CountRequest, context: HandlerContext) {
    context.responseHeader.set("x-answer", "count");
    for (let number = 1; number <= request.count; number += 1) {
      if (number % 1000 === 0) await pause(0);
      yield { number };
    }
    throwAs(request.error);
    await this.#wait(request.hold, context.signal);
    context.responseTrailer.set("x-after", String(request.count));
  }

  async sum(requests: AsyncIterable<SumRequest>) {
    let sum = 0n;
    for await (const { number } of requests) sum += BigInt(number);
    return { sum };
  }

  async *accumulate(requests: AsyncIterable<AccumulateRequest>) {
    let sum = 0n;
    for await (const { number } of requests) {
      sum += BigInt(number);
      yield { sum };
    }
  }
}

/** The variables of a process under test; any port, hardly any log. */
export const testEnvironment: NodeJS.ProcessEnv = {
  GRPC_PORT: "0",
  HTTP_PORT: "0",
  LOG_LEVEL: "error",
  LOG_FORMAT: "json",
  PAGE_TOKEN_SECRET: "0123456789abcdef0123456789abcdef",
  TOKEN_ISSUERS: "none",
  DRAIN_TIMEOUT_MS: "5000",
};

/** The definition that runs the given implementation. */
export function conformanceDefinition(implementation: Conformance): ServiceDefinition<Record<never, never>> {
  return {
    name: "conformance",
    config: {},
    build: () => ({ services: [register(ConformanceService, implementation)] }),
  };
}

/** A running service under test. */
export interface RunningConformance extends RunningService {
  readonly implementation: Conformance;
}

/** Runs the service under test. */
export async function startConformance(env: NodeJS.ProcessEnv = {}): Promise<RunningConformance> {
  const implementation = new Conformance();
  const running = await launch(conformanceDefinition(implementation), { ...testEnvironment, ...env });
  return { ...running, implementation };
}
