// A small Stripe that speaks its HTTP: payment methods, customers, payments, refunds and idempotency keys, as far as the connector uses them. What a request does is done
// before its answer is lost, if it is to be.
import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { cardOf, FakeCards, type FakeCustomer, type Payer, toCard, toCustomer } from "./fake-cards.ts";
import { invalid, missing, Refusal } from "./fake-refusal.ts";

/** A payment of the fake; amounts are as Stripe counts. */
export interface FakeIntent extends Payer {
  readonly id: string;
  /** The payment method. */
  readonly method: string;
  readonly amount: number;
  readonly currency: string;
  /** The test card that the payment method behaves as. */
  readonly card: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly wantsParts: boolean;
  status: string;
  received: number;
  held: number;
  captures: number;
  refunded: number;
  error: object | null;
}

/** A refund of the fake. */
export interface FakeRefund {
  readonly id: string;
  readonly payment_intent: string;
  readonly amount: number;
  readonly metadata: Readonly<Record<string, string>>;
  status: string;
  failure_reason: string | null;
}

/** What a fake has come to; `/fake` of its address has it, too. */
export interface FakeState {
  readonly intents: readonly FakeIntent[];
  readonly refunds: readonly FakeRefund[];
  readonly customers: readonly FakeCustomer[];
  readonly disputes: number;
}

/**
 * What goes wrong with the next request to an endpoint. `before`: the connection breaks and nothing is done; `after`: it is done, and the connection breaks;
 * `fails`: 500 without an effect, `failsAfter`: 500 with it, both for ever under its key; `limited`: 429; `hangs`: it is done much later, and the connection
 * breaks; `late`: it arrives much later, and nobody waits for its answer; `slow`: it is done and answered much later.
 */
export const faults = [
  "before",
  "after",
  "fails",
  "failsAfter",
  "limited",
  "hangs",
  "late",
  "slow",
  "garbled",
] as const;
export type Fault = (typeof faults)[number];

interface Stored {
  readonly body: string;
  answer: { readonly status: number; readonly body: object } | undefined;
}

/** The fake, listening. */
export class FakeStripe implements AsyncDisposable {
  readonly #server: Server;
  readonly #keys = new Map<string, Stored>();
  readonly #running = new Set<string>();
  readonly cards = new FakeCards();
  readonly intents = new Map<string, FakeIntent>();
  readonly refunds = new Map<string, FakeRefund>();
  readonly disputes = new Map<string, object>();
  /** What happened, the latest first. */
  readonly events: {
    readonly id: string;
    readonly type: string;
    readonly created: number;
    readonly data: { readonly object: object };
  }[] = [];
  /** Each request, as `capture pi_1 <idempotency key>`. */
  readonly requests: string[] = [];
  readonly #faults = new Map<string, Fault[]>();
  /** Whether the account may capture in parts. */
  multicapture = true;
  /** How long a request takes that hangs or is slow, in milliseconds. */
  hangMs = 400;
  /** What goes wrong with a request besides, by the payment that it is about. */
  trouble: (endpoint: string, intent: Pick<FakeIntent, "card" | "metadata">) => Fault | undefined = () => undefined;
  /** Told what happens, as a webhook would tell it; by default only what {@link happen} says happens. */
  tell: ((payload: string) => void) | undefined;
  /** How much a page of a list has. */
  pageSize = 2;
  /** The status of refunds that are made. */
  refundStatus = "succeeded";

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(port = 0): Promise<FakeStripe> {
    const server = createServer((request, response) => void fake.#serve(request, response));
    const fake = new FakeStripe(server);
    await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
    return fake;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Has the next requests to an endpoint go wrong, one after the other. */
  fault(endpoint: string, ...faults: Fault[]): void {
    this.#faults.set(endpoint, [...(this.#faults.get(endpoint) ?? []), ...faults]);
  }

  /** Nothing goes wrong any more. */
  calm(): void {
    this.#faults.clear();
    this.hangMs = 400;
  }

  /** Forgets all keys, as Stripe may after a day. */
  forgetKeys(): void {
    this.#keys.clear();
  }

  /** Writes down that something happened, as a webhook would tell it. */
  happen(type: string, object: object, created = Math.floor(Date.now() / 1_000)): string {
    const event = { id: `evt_${this.events.length + 1}`, object: "event", type, created, data: { object } };
    this.events.unshift(event);
    const payload = JSON.stringify(event);
    this.tell?.(payload);
    return payload;
  }

  /** What it has come to, for whoever compares it with what somebody else remembers. */
  get state(): FakeState {
    const { cards, intents, refunds, disputes } = this;
    const customers = [...cards.customers.values()];
    return { intents: [...intents.values()], refunds: [...refunds.values()], customers, disputes: disputes.size };
  }

  /** How often an endpoint was asked. */
  count(endpoint: string): number {
    return this.requests.filter((line) => line.startsWith(`${endpoint} `)).length;
  }

  /** The payment that was made for a key of ours. @throws when there is none, or there are several that hold or took money */
  intentOf(key: string): FakeIntent {
    const all = [...this.intents.values()].filter(({ metadata }) => metadata.key === key);
    const used = all.filter(({ status, received }) => received > 0 || status === "requires_capture");
    if (used.length > 1) throw new Error(`${used.length} payments hold money for ${key}`);
    const intent = used[0] ?? all.at(-1);
    if (!intent) throw new Error(`there is no payment for ${key}`);
    return intent;
  }

  /** Somebody refunds in Stripe's console: there is no key of ours, unless he has copied one. */
  refundInConsole(intent: FakeIntent, amount: number, key = ""): FakeRefund {
    const params = new URLSearchParams({ payment_intent: intent.id, amount: String(amount), "metadata[key]": key });
    const refund = this.#refund(params);
    this.happen("refund.created", refund);
    return refund;
  }

  /** Somebody captures in Stripe's console, and gives the rest free. */
  captureInConsole(intent: FakeIntent, amount: number): void {
    this.#capture(intent, new URLSearchParams({ amount_to_capture: String(amount) }));
    this.happen("payment_intent.succeeded", toIntent(intent, this.multicapture));
  }

  /** The time of the hold is over. */
  expire(intent: FakeIntent): void {
    intent.held = 0;
    intent.status = intent.received > 0 ? "succeeded" : "canceled";
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await bodyOf(request);
    if (body === undefined) return;
    const { pathname, searchParams } = new URL(request.url ?? "", "http://fake");
    const params = request.method === "POST" ? new URLSearchParams(body) : searchParams;
    const route = routeOf(request.method ?? "", pathname);
    const key = String(request.headers["idempotency-key"] ?? "");
    this.requests.push(`${route.endpoint} ${route.id} ${key}`.trim());
    if (pathname === "/fake") return send(response, 200, this.state);
    const fault = this.#faults.get(route.endpoint)?.shift() ?? this.#troubleOf(route, params);
    if (!/^Bearer sk_\w+$/.test(request.headers.authorization ?? ""))
      return send(response, 401, { error: { type: "invalid_request_error" } });
    if (fault === "before") return void request.socket.destroy();
    if (fault === "limited")
      return send(response, 429, { error: { type: "invalid_request_error", code: "rate_limit" } });
    if (fault === "late") await delay(this.hangMs);
    if (this.#running.has(key)) {
      return send(response, 409, { error: { type: "idempotency_error", code: "idempotency_key_in_use" } });
    }
    if (fault === "hangs" || fault === "slow") await this.#hang(key);
    const answer = this.#answer({ ...route, params }, key && { key, body: `${pathname} ${body}` }, fault);
    if (fault === "after" || fault === "hangs" || fault === "late") return void request.socket.destroy();
    if (fault === "garbled") return void response.writeHead(200).end("<html>");
    send(response, answer.status, answer.body);
  }

  #troubleOf({ endpoint, id }: Pick<Request, "endpoint" | "id">, params: URLSearchParams): Fault | undefined {
    const made = { card: cardOf(params.get("payment_method") ?? ""), metadata: metadataOf(params) };
    const known = this.intents.get(id || (params.get("payment_intent") ?? ""));
    const about = endpoint === "create" || endpoint === "customer" ? made : known;
    return about && this.trouble(endpoint, about);
  }

  async #hang(key: string): Promise<void> {
    this.#running.add(key);
    await delay(this.hangMs);
    this.#running.delete(key);
  }

  #answer(asked: Request, keyed: { key: string; body: string } | "", fault: Fault | undefined) {
    const known = keyed && this.#keys.get(keyed.key);
    if (keyed && known) {
      if (known.body !== keyed.body)
        return { status: 400, body: { error: { type: "idempotency_error", message: "other parameters" } } };
      if (known.answer) return known.answer;
    }
    const internal = { status: 500, body: { error: { type: "api_error", message: "internal" } } };
    const answer = fault === "fails" ? internal : this.#perform(asked);
    const said = fault === "failsAfter" ? internal : answer;
    // What was not valid has not begun.
    if (keyed && (said.status !== 400 || fault)) this.#keys.set(keyed.key, { body: keyed.body, answer: said });
    return said;
  }

  #perform(asked: Request): { status: number; body: object } {
    try {
      return { status: 200, body: this.#effect(asked) };
    } catch (error) {
      if (error instanceof Refusal) return { status: error.status, body: error.body };
      throw error;
    }
  }

  #effect({ endpoint, id, params }: Request): object {
    switch (endpoint) {
      case "create":
        return toIntent(this.#create(params), this.multicapture);
      case "customer":
        return toCustomer(this.cards.create(params.get("payment_method") ?? "", metadataOf(params)));
      case "retrieve card":
      case "attach":
      case "detach":
        return this.#card({ endpoint, id, params });
      case "refund":
        return this.#refund(params);
      case "retrieve dispute":
        return this.disputes.get(id) ?? missing();
      case "list events": {
        const [since, until] = [Number(params.get("created[gte]")), Number(params.get("created[lte]"))];
        const listed = this.events.filter(({ created }) => created >= since && created <= until);
        const from = listed.findIndex((event) => event.id === params.get("starting_after")) + 1;
        return pageOf(listed, from, this.pageSize);
      }
      case "retrieve refund":
        return this.refunds.get(id) ?? missing();
      case "list refunds": {
        const all = [...this.refunds.values()].filter(
          (refund) => refund.payment_intent === params.get("payment_intent"),
        );
        const from = all.findIndex((refund) => refund.id === params.get("starting_after")) + 1;
        return pageOf(all, from, this.pageSize);
      }
    }
    const intent = this.intents.get(id) ?? missing();
    if (endpoint === "confirm") this.#confirm(intent);
    if (endpoint === "capture") {
      this.#capture(intent, params);
      if (this.tell && intent.status === "succeeded")
        this.happen("payment_intent.succeeded", toIntent(intent, this.multicapture));
    }
    if (endpoint === "cancel") {
      cancel(intent);
      if (this.tell) this.happen("payment_intent.canceled", toIntent(intent, this.multicapture));
    }
    return toIntent(intent, this.multicapture);
  }

  #card({ endpoint, id, params }: Request): object {
    const card = this.cards.named(id);
    if (endpoint === "attach") this.cards.attach(card, params.get("customer") ?? "");
    if (endpoint === "detach") this.cards.detach(card);
    const isWanted = params.get("expand[0]") === "customer";
    return toCard(card, isWanted ? this.cards.customers.get(card.customer) : undefined);
  }

  #create(params: URLSearchParams): FakeIntent {
    const method = this.cards.named(params.get("payment_method") ?? "");
    const payer = { customer: params.get("customer") ?? "", setup: params.get("setup_future_usage") ?? "" };
    this.cards.check(method, payer);
    if (params.get("capture_method") !== "manual") throw invalid("capture_method");
    const intent: FakeIntent = {
      id: `pi_${this.intents.size + 1}_${randomUUID().slice(0, 8)}`,
      amount: Number(params.get("amount")),
      currency: params.get("currency") ?? "",
      ...payer,
      method: method.id,
      card: method.card,
      metadata: metadataOf(params),
      wantsParts: params.get("payment_method_options[card][request_multicapture]") === "if_available",
      status: "requires_confirmation",
      received: 0,
      held: 0,
      captures: 0,
      refunded: 0,
      error: null,
    };
    this.intents.set(intent.id, intent);
    return intent;
  }

  #confirm(intent: FakeIntent): void {
    if (intent.status !== "requires_confirmation" && intent.status !== "requires_payment_method") {
      throw invalid("payment_intent_unexpected_state");
    }
    try {
      this.cards.charge(this.cards.named(intent.method), intent);
    } catch (error) {
      if (error instanceof Refusal && error.status === 402) {
        intent.status = "requires_payment_method";
        intent.error = error.body.error;
      }
      throw error;
    }
    if (intent.card === "pm_card_authenticationRequired") {
      intent.status = "requires_action";
      return;
    }
    intent.status = "requires_capture";
    intent.held = intent.amount;
  }

  #capture(intent: FakeIntent, params: URLSearchParams): void {
    if (intent.status !== "requires_capture") throw invalid("payment_intent_unexpected_state");
    const amount = Number(params.get("amount_to_capture") ?? intent.held);
    const final = params.get("final_capture") !== "false";
    const inParts = intent.wantsParts && this.multicapture && intent.card !== "pm_card_oneCapture";
    if (params.has("final_capture") && !inParts) throw invalid("payment_intent_invalid_parameter");
    if (amount > intent.held) throw invalid("amount_too_large");
    if (amount === 0 && !(final && intent.captures > 0)) throw invalid("amount_too_small");
    intent.received += amount;
    intent.held -= amount;
    intent.captures += 1;
    if (final) intent.held = 0;
    if (intent.held === 0) intent.status = "succeeded";
    if (intent.card === "pm_card_createDispute" && intent.status === "succeeded") this.#dispute(intent);
  }

  /** What Stripe's own test card of this name has happen, once all is captured. */
  #dispute({ id, received, currency }: FakeIntent): void {
    const dispute = {
      id: `dp_${this.disputes.size + 1}`,
      object: "dispute",
      status: "needs_response",
      reason: "fraudulent",
      amount: received,
      currency,
      payment_intent: id,
      evidence_details: { due_by: 1_900_000_000 },
    };
    this.disputes.set(dispute.id, dispute);
    this.happen("charge.dispute.created", dispute);
  }

  #refund(params: URLSearchParams): FakeRefund {
    const intent = this.intents.get(params.get("payment_intent") ?? "") ?? missing();
    const amount = Number(params.get("amount"));
    const left = intent.received - intent.refunded;
    // Only of what is refunded whole Stripe says so by a code.
    if (amount > left)
      throw new Refusal(400, "invalid_request_error", left === 0 ? { code: "charge_already_refunded" } : {});
    intent.refunded += amount;
    const refund: FakeRefund = {
      id: `re_${this.refunds.size + 1}`,
      payment_intent: intent.id,
      amount,
      metadata: metadataOf(params),
      status: this.refundStatus,
      failure_reason: this.refundStatus === "failed" ? "expired_or_canceled_card" : null,
    };
    this.refunds.set(refund.id, refund);
    if (this.tell) this.happen("refund.updated", refund);
    return refund;
  }
}

interface Request {
  readonly endpoint: string;
  readonly id: string;
  readonly params: URLSearchParams;
}

function pageOf(all: readonly object[], from: number, size: number): object {
  return { object: "list", data: all.slice(from, from + size), has_more: from + size < all.length };
}

function cancel(intent: FakeIntent): void {
  if (intent.status === "canceled" || intent.status === "succeeded") throw invalid("payment_intent_unexpected_state");
  intent.held = 0;
  intent.status = intent.received > 0 ? "succeeded" : "canceled";
}

/** Undefined when its sender is gone before it has come whole. */
async function bodyOf(request: IncomingMessage): Promise<string | undefined> {
  let body = "";
  try {
    for await (const chunk of request) body += String(chunk);
    return body;
  } catch {
    return undefined;
  }
}

function routeOf(method: string, path: string): { endpoint: string; id: string } {
  const [, , collection, id = "", verb = ""] = path.split("/");
  if (collection === "refunds") {
    return { endpoint: method === "POST" ? "refund" : id === "" ? "list refunds" : "retrieve refund", id };
  }
  if (collection === "customers") return { endpoint: "customer", id };
  if (collection === "payment_methods") return { endpoint: verb || "retrieve card", id };
  if (collection === "disputes") return { endpoint: "retrieve dispute", id };
  if (collection === "events") return { endpoint: "list events", id };
  return { endpoint: verb || (method === "POST" ? "create" : "retrieve"), id };
}

function metadataOf(params: URLSearchParams): Readonly<Record<string, string>> {
  const entries = [...params].flatMap(([name, value]) => {
    const key = /^metadata\[(\w+)\]$/.exec(name)?.[1];
    return key ? [[key, value] as const] : [];
  });
  return Object.fromEntries(entries);
}

function toIntent(intent: FakeIntent, multicapture: boolean): object {
  const isAvailable = intent.wantsParts && multicapture && intent.card !== "pm_card_oneCapture";
  const card = { capture_before: 1_900_000_000, multicapture: { status: isAvailable ? "available" : "unavailable" } };
  return {
    id: intent.id,
    object: "payment_intent",
    amount: intent.amount,
    amount_capturable: intent.held,
    amount_received: intent.received,
    currency: intent.currency,
    customer: intent.customer || null,
    payment_method: intent.method,
    status: intent.status,
    last_payment_error: intent.error,
    metadata: intent.metadata,
    latest_charge: { id: `ch_${intent.id}`, object: "charge", payment_method_details: { card } },
  };
}

function send(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}
