// A small EasyPost that speaks its HTTP: shipments, labels, refunds and trackers, as far as the connector uses them. What a request does is done before
// its answer is lost, if it is to be.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";

/** A scan of a carrier. */
export interface FakeScan {
  readonly status: string;
  readonly status_detail: string;
  readonly datetime: string;
  readonly tracking_location?: {
    readonly city: string | null;
    readonly state?: string | null;
    readonly country?: string;
  };
}

/** A shipment of the fake. */
export interface FakeShipment {
  readonly id: string;
  readonly reference: string;
  readonly fields: Record<string, unknown>;
  /** How often its label was bought: more than once is what must not be. */
  purchases: number;
  trackingCode: string | null;
  carrier: string;
  refundStatus: string | null;
  refunds: number;
  scans: FakeScan[];
}

/**
 * What goes wrong with the next request to an endpoint. `before`: the connection breaks and nothing is done; `after`: it is done, and the connection breaks;
 * `fails`: 500 without an effect, `failsAfter`: 500 with it; `limited`: 429; `poor`: 402; `hangs`: it is done much later; `silent`: 422, the carrier has not answered, and
 * has heard it.
 */
export type Fault =
  | "before"
  | "after"
  | "fails"
  | "failsAfter"
  | "limited"
  | "poor"
  | "hangs"
  | "garbled"
  | "silent"
  | "refused";

interface Said {
  readonly status: number;
  readonly body: object;
}

/** The fake, listening. */
export class FakeEasypost implements AsyncDisposable {
  readonly #server: Server;
  readonly shipments = new Map<string, FakeShipment>();
  /** Each request, as `buy shp_1`. */
  readonly requests: string[] = [];
  readonly #faults = new Map<string, Fault[]>();
  /** How long a request takes that hangs, in milliseconds. */
  hangMs = 400;
  /** What becomes of a label that is to be taken back, at first. */
  refundStatus = "submitted";
  /** What carriers say instead of prices, for a while. */
  carriersFail = false;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<FakeEasypost> {
    const server = createServer((request, response) => void fake.#serve(request, response));
    const fake = new FakeEasypost(server);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
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
    this.refundStatus = "submitted";
    this.carriersFail = false;
  }

  /** How often an endpoint was asked. */
  count(endpoint: string): number {
    return this.requests.filter((line) => line.startsWith(`${endpoint} `)).length;
  }

  /** The labels that were bought for a key, without those that were taken back or are to be. */
  labelsOf(reference: string): FakeShipment[] {
    const all = [...this.shipments.values()].filter((shipment) => shipment.reference === reference);
    return all.flatMap((shipment) => Array.from({ length: shipment.purchases }, () => shipment));
  }

  /** The one label of a key. @throws when there is none, or there are several */
  labelOf(reference: string): FakeShipment {
    const [label, ...more] = this.labelsOf(reference);
    if (!label || more.length > 0) throw new Error(`there are ${more.length + (label ? 1 : 0)} labels of ${reference}`);
    return label;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = "";
    for await (const chunk of request) body += String(chunk);
    const [, version, collection, id = "", verb = ""] = (request.url ?? "").split("/");
    const endpoint = verb || (request.method === "POST" ? "create" : "retrieve");
    this.requests.push(`${endpoint} ${id}`);
    const fault = this.#faults.get(endpoint)?.shift();
    if (version !== "v2" || collection !== "shipments") return send(response, error(404, "NOT_FOUND"));
    const key = Buffer.from((request.headers.authorization ?? "").replace(/^Basic /, ""), "base64").toString();
    if (!/^EZTK\w+:$/.test(key) || key.includes("barred")) return send(response, error(401, "APIKEY.INACTIVE"));
    if (fault === "before") return void request.socket.destroy();
    const early = {
      limited: error(429, "RATE_LIMITED"),
      poor: error(402, "PAYMENT_REQUIRED"),
      refused: error(422, "SHIPMENT.POSTAGE.FAILURE"),
      fails: error(500, "INTERNAL"),
    };
    if (fault && fault in early) return send(response, early[fault as keyof typeof early]);
    if (fault === "hangs") await delay(this.hangMs);
    const answer = this.#answer(endpoint, id, body === "" ? {} : JSON.parse(body));
    if (fault === "after" || fault === "hangs") return void request.socket.destroy();
    if (fault === "failsAfter") return send(response, error(500, "INTERNAL"));
    if (fault === "silent") return send(response, error(422, "SHIPMENT.POSTAGE.NO_RESPONSE"));
    if (fault === "garbled") return void response.writeHead(200).end("<html>");
    send(response, answer);
  }

  #answer(endpoint: string, id: string, body: Record<string, Record<string, unknown>>): Said {
    if (endpoint === "create") return { status: 201, body: this.#toMessage(this.#create(body.shipment ?? {})) };
    const shipment = this.shipments.get(id);
    if (!shipment) return error(404, "NOT_FOUND");
    if (endpoint === "buy") {
      if (shipment.trackingCode !== null) return error(422, "SHIPMENT.POSTAGE.EXISTS");
      const rate = this.#ratesOf(shipment).find((each) => each.id === body.rate?.id);
      if (!rate) return error(422, "SHIPMENT.RATE.INVALID");
      shipment.purchases += 1;
      shipment.carrier = rate.carrier;
      shipment.trackingCode = `9400${String(this.shipments.size).padStart(8, "0")}${shipment.id.slice(-4)}`;
    }
    if (endpoint === "refund") {
      if (shipment.trackingCode === null) return error(422, "SHIPMENT.REFUND.UNAVAILABLE");
      if (shipment.refundStatus === "submitted") return error(422, "SHIPMENT.REFUND.EXISTS");
      shipment.refunds += 1;
      shipment.refundStatus = this.refundStatus;
    }
    return { status: 200, body: this.#toMessage(shipment) };
  }

  #create(fields: Record<string, unknown>): FakeShipment {
    const id = `shp_${this.shipments.size + 1}${Math.random().toString(16).slice(2, 10)}`;
    const made = { purchases: 0, trackingCode: null, carrier: "", refundStatus: null, refunds: 0, scans: [] };
    const shipment: FakeShipment = { id, reference: String(fields.reference), fields, ...made };
    this.shipments.set(id, shipment);
    return shipment;
  }

  #ratesOf({ id, fields }: FakeShipment) {
    const { zip } = fields.to_address as { zip: string };
    if (zip === "00000" || this.carriersFail) return [];
    return [
      { id: `rate_1_${id}`, carrier: "UPS", service: "NextDayAir", rate: "40.10" },
      { id: `rate_2_${id}`, carrier: "USPS", service: "GroundAdvantage", rate: "7.58" },
      { id: `rate_3_${id}`, carrier: "USPS", service: "Express", rate: "31.00" },
    ];
  }

  #toMessage(shipment: FakeShipment): object {
    const { id, reference, trackingCode, refundStatus, scans, carrier } = shipment;
    const isBought = trackingCode !== null;
    return {
      id,
      object: "Shipment",
      reference,
      tracking_code: trackingCode,
      refund_status: refundStatus,
      rates: this.#ratesOf(shipment),
      messages: this.carriersFail ? [{ carrier: "UPS", type: "rate_error", message: "no answer" }] : [],
      selected_rate: isBought ? { id: `rate_2_${id}`, carrier, service: "any", rate: "7.58" } : null,
      postage_label: isBought ? { label_url: `https://labels.example/${id}.png` } : null,
      tracker: isBought
        ? { id: `trk_${id}`, status: scans.at(-1)?.status ?? "pre_transit", tracking_details: scans }
        : null,
    };
  }
}

function error(status: number, code: string): Said {
  return { status, body: { error: { code, message: `refused: ${code}`, errors: [] } } };
}

function send(response: ServerResponse, { status, body }: Said): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}
