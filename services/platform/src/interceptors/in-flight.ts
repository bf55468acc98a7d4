import type { DescMethod } from "@bufbuild/protobuf";
import type { Interceptor } from "@connectrpc/connect";
import { PlatformErrorReason } from "#gen/shop/type/v1/platform_error_reason_pb.js";
import {
  type RequestContext,
  type RestingPlace,
  requestContext,
  runInContext,
  withContext,
} from "#platform/context.ts";
import { PlatformError } from "#platform/errors.ts";
import { admissionClassOf, type ClassName, classNames } from "./admission-class.ts";
import { type Call, type CallRequest, type CallResponse, followStream } from "./compose.ts";

/** What calls are counted as: those that work by their class, and those of callers that wait. */
export const placeKinds = [...classNames, "waiting"] as const;
export type PlaceKind = (typeof placeKinds)[number];

/** How many calls of each kind the process takes. */
export type InFlightLimits = Readonly<Record<PlaceKind, number>>;

/** What a refusal says: the queue that is full, and when the caller should come back, in milliseconds. */
const refusals: Readonly<Record<PlaceKind, { queue: string; message: string; retryMs: number }>> = {
  caller: { queue: "calls", message: "the service has as many calls as it takes", retryMs: 100 },
  saga: { queue: "saga", message: "the service has as many calls of the saga as it takes", retryMs: 100 },
  operator: { queue: "operator", message: "the service has as many calls of operators as it takes", retryMs: 100 },
  // Who waits, waits for seconds.
  waiting: { queue: "waiting", message: "as many callers wait as the service takes", retryMs: 1_000 },
};

/** A number of places of one kind. */
class Places {
  readonly #kind: PlaceKind;
  #limit: number;
  readonly #onRefused: (kind: PlaceKind) => void;
  #taken = 0;

  constructor(kind: PlaceKind, limit: number, onRefused: (kind: PlaceKind) => void) {
    this.#kind = kind;
    this.#limit = limit;
    this.#onRefused = onRefused;
  }

  get taken(): number {
    return this.#taken;
  }

  /** Has another number of places. Who has one keeps it. */
  resize(limit: number): void {
    this.#limit = limit;
  }

  /** @throws OVERLOADED when all are taken */
  take(): void {
    if (this.#taken >= this.#limit) {
      this.#onRefused(this.#kind);
      const { queue, message, retryMs: retryAfterMs } = refusals[this.#kind];
      throw new PlatformError(PlatformErrorReason.OVERLOADED, message, { queue }, { retryAfterMs });
    }
    this.#taken += 1;
  }

  /** Comes back to a place that was left for a while, also when another one has it by now. */
  retake(): void {
    this.#taken += 1;
  }

  give(): void {
    this.#taken -= 1;
  }
}

/**
 * The places of one call: one to work in, which it leaves while it rests, and one to rest in, which it holds from when it was
 * asked for until nobody needs it any more. Whatever happens in between, `end` gives both back.
 */
class Slot {
  readonly #work: Places;
  readonly #rest: Places | undefined;
  /** Who rests now, and who may rest later; the call leaves its working place with the first and comes back with the last. */
  #resters = 0;
  #holders = 0;
  #ended = false;

  /** A place to rest in, one for all who ask; undefined for calls that rest where they work. @throws OVERLOADED */
  readonly takeRestingPlace: (() => RestingPlace) | undefined;

  constructor(work: Places, rest: Places | undefined) {
    this.#work = work;
    this.#rest = rest;
    this.takeRestingPlace = rest && (() => this.#takeRestingPlace(rest));
  }

  /** @throws OVERLOADED */
  beginWorking(): void {
    this.#work.take();
  }

  /** For calls that rest all their life, such as streams. @throws OVERLOADED */
  beginResting(): void {
    if (this.#rest) {
      this.#rest.take();
      this.#holders = 1;
      this.#resters = 1;
    } else {
      this.#work.take();
    }
  }

  /** The call is over. */
  end(): void {
    this.#ended = true;
    if (this.#resters === 0) this.#work.give();
    if (this.#holders > 0) this.#rest?.give();
  }

  #takeRestingPlace(places: Places): RestingPlace {
    if (!this.#ended && this.#holders === 0) places.take();
    this.#holders += 1;
    let held = true;
    return {
      rest: (wait) => (held ? this.#restWhile(wait) : wait()),
      [Symbol.dispose]: () => {
        if (held) this.#giveUp();
        held = false;
      },
    };
  }

  #giveUp(): void {
    this.#holders -= 1;
    if (this.#holders === 0 && !this.#ended) this.#rest?.give();
  }

  /** A call that has ended holds nothing that it could leave or come back to. */
  async #restWhile<T>(wait: () => Promise<T>): Promise<T> {
    if (this.#resters === 0 && !this.#ended) this.#work.give();
    this.#holders += 1;
    this.#resters += 1;
    try {
      return await wait();
    } finally {
      this.#resters -= 1;
      this.#giveUp();
      if (this.#resters === 0 && !this.#ended) this.#work.retake();
    }
  }
}

/**
 * Admits calls by their class, on both faces together: each class has places of its own, and what finds none is refused. So
 * callers never take the places of those who end their waiting. A caller's call that waits for something to happen may leave
 * its working place meanwhile; such calls have a bound of their own, and streams, which follow changes for hours, count among
 * them. Nothing is queued here.
 */
export class InFlight {
  readonly #places: Readonly<Record<PlaceKind, Places>>;
  readonly #classes = new Map<DescMethod, ClassName>();
  #running = 0;
  #idle: (() => void)[] = [];

  /** @param onRefused told for each call that is refused what there was too much of */
  constructor(limits: InFlightLimits, onRefused: (kind: PlaceKind) => void = () => undefined) {
    const places = (kind: PlaceKind) => new Places(kind, limits[kind], onRefused);
    this.#places = {
      caller: places("caller"),
      saga: places("saga"),
      operator: places("operator"),
      waiting: places("waiting"),
    };
  }

  /** Takes another number of calls of a kind from now on. */
  resize(kind: PlaceKind, limit: number): void {
    this.#places[kind].resize(limit);
  }

  /** How many calls run now. */
  get count(): number {
    return this.#running;
  }

  /** How many calls of each kind run now. Those that wait are not counted as working, whatever their class. */
  get counts(): Readonly<Record<PlaceKind, number>> {
    const [caller, saga, operator] = classNames.map((name) => this.#places[name].taken) as [number, number, number];
    return { caller, saga, operator, waiting: this.#running - caller - saga - operator };
  }

  /** Resolves when no call runs. */
  async idle(): Promise<void> {
    if (this.#running > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  /** Counts the calls that pass through it. */
  interceptor(): Interceptor {
    return (next) => (request) => (request.stream ? this.#stream(next, request) : this.#call(next, request));
  }

  async #call(next: Call, request: CallRequest): Promise<CallResponse> {
    const slot = this.#slotFor(request);
    slot.beginWorking();
    this.#running += 1;
    try {
      return await withContext({ takeRestingPlace: slot.takeRestingPlace }, () => next(request));
    } finally {
      this.#end(slot);
    }
  }

  async #stream(next: Call, request: CallRequest): Promise<CallResponse> {
    const slot = this.#slotFor(request);
    slot.beginResting();
    this.#running += 1;
    try {
      return await withContext({ takeRestingPlace: slot.takeRestingPlace }, async () => {
        const context = requestContext();
        return this.#follow(await next(request), { signal: request.signal, slot, context });
      });
    } catch (error) {
      this.#end(slot);
      throw error;
    }
  }

  #follow(response: CallResponse, call: { signal: AbortSignal; slot: Slot; context: RequestContext }): CallResponse {
    if (!response.stream) throw new Error("an interceptor answered a stream with a single message");
    if (call.signal.aborted) {
      // Who asked has been answered already, and nobody would read to the end, which is where the place is given back.
      response.message[Symbol.asyncIterator]()
        .return?.()
        .catch(() => undefined);
      throw call.signal.reason;
    }
    const around = <T>(step: () => Promise<T>) => runInContext(call.context, step);
    return followStream(response, { around, onEnd: () => this.#end(call.slot) });
  }

  #slotFor({ method }: CallRequest): Slot {
    const name = this.#classes.get(method) ?? admissionClassOf(method);
    this.#classes.set(method, name);
    return new Slot(this.#places[name], name === "caller" ? this.#places.waiting : undefined);
  }

  #end(slot: Slot): void {
    slot.end();
    this.#running -= 1;
    if (this.#running > 0) return;
    const idle = this.#idle;
    this.#idle = [];
    for (const resolve of idle) resolve();
  }
}
