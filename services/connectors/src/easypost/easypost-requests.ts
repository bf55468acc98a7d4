import type { z } from "zod";
import type { Secret } from "#platform/secret.ts";
import type { OutsideMetrics } from "../metrics.ts";
import { inTurn, type PaceLimits, RequestPace } from "../request-pace.ts";
import { type Answer, failureOf, failureOfError } from "./easypost-answer.ts";
import { type Shipment, shipmentMessage } from "./easypost-messages.ts";

/** How EasyPost is reached. */
export interface EasypostRequestsOptions {
  /** May become another one while the process runs. */
  readonly apiKey: Pick<Secret, "text">;
  /** `https://api.easypost.com`. */
  readonly url: string;
  /** For one request, in milliseconds. */
  readonly timeoutMs: number;
  readonly pace: PaceLimits;
  readonly metrics: Pick<OutsideMetrics, "asked" | "waited" | "held">;
}

/** An address as EasyPost takes it. */
export interface AddressFields {
  readonly name: string;
  readonly street1: string;
  readonly street2: string;
  readonly city: string;
  readonly state: string;
  readonly zip: string;
  readonly country: string;
  readonly phone: string;
  readonly email: string;
}

/** A shipment that is to be made: nothing is bought by that. */
export interface ShipmentFields {
  /** By which people find it. */
  readonly reference: string;
  /** Of a return EasyPost has the parcel go from `to_address` to `from_address`. */
  readonly is_return: boolean;
  readonly from_address: AddressFields;
  readonly to_address: AddressFields;
  /** Inches, and ounces. */
  readonly parcel: {
    readonly length: number;
    readonly width: number;
    readonly height: number;
    readonly weight: number;
  };
}

interface Request {
  readonly method: "GET" | "POST";
  /** Below `/v2/`. */
  readonly path: string;
  readonly body?: object;
}

/** The longest answer that is read, in bytes: a shipment has a price of each service of each carrier. */
const largestAnswer = 4 * 1024 * 1024;

/** The requests that the connector makes, each with an answer of one of a few kinds, and none of them sent again by itself. */
export class EasypostRequests {
  readonly #options: EasypostRequestsOptions;
  readonly #pace: RequestPace;

  constructor(options: EasypostRequestsOptions) {
    this.#options = options;
    this.#pace = new RequestPace(options.pace);
  }

  /** Makes a shipment, and asks carriers for prices. */
  create(shipment: ShipmentFields): Promise<Answer<Shipment>> {
    return this.#ask("create", { method: "POST", path: "shipments", body: { shipment } }, shipmentMessage);
  }

  /** Asks carriers for prices again. */
  rerate(id: string): Promise<Answer<Shipment>> {
    return this.#ask("rerate", { method: "POST", path: `shipments/${encodeURIComponent(id)}/rerate` }, shipmentMessage);
  }

  /** Buys the label. */
  buy(id: string, rateId: string): Promise<Answer<Shipment>> {
    const body = { rate: { id: rateId } };
    return this.#ask("buy", { method: "POST", path: `shipments/${encodeURIComponent(id)}/buy`, body }, shipmentMessage);
  }

  retrieve(id: string): Promise<Answer<Shipment>> {
    return this.#ask("retrieve", { method: "GET", path: `shipments/${encodeURIComponent(id)}` }, shipmentMessage);
  }

  /** Has a label taken back that was not used. */
  refund(id: string): Promise<Answer<Shipment>> {
    return this.#ask("refund", { method: "POST", path: `shipments/${encodeURIComponent(id)}/refund` }, shipmentMessage);
  }

  #ask<T>(endpoint: string, request: Request, form: z.ZodType<T>): Promise<Answer<T>> {
    const { metrics, timeoutMs } = this.#options;
    const turn = { pace: this.#pace, metrics, timeoutMs };
    return inTurn<Answer<T>>(endpoint, turn, async () => {
      try {
        return read(await this.#send(request), form);
      } catch (error) {
        return failureOfError(error);
      }
    });
  }

  async #send({ method, path, body }: Request) {
    const { apiKey, url, timeoutMs } = this.#options;
    const response = await fetch(`${url.replace(/\/+$/, "")}/v2/${path}`, {
      method,
      headers: {
        authorization: `Basic ${Buffer.from(`${apiKey.text}:`).toString("base64")}`,
        "content-type": "application/json",
      },
      signal: AbortSignal.timeout(timeoutMs),
      redirect: "error",
      ...(body && { body: JSON.stringify(body) }),
    });
    return { status: response.status, body: await jsonOf(response) };
  }
}

/** An answer that cannot be read says nothing. */
function read<T>({ status, body }: { status: number; body: unknown }, form: z.ZodType<T>): Answer<T> {
  if (status < 200 || status > 299) return failureOf(status, body);
  const { data: value, error } = form.safeParse(body);
  // What it holds is not for a log: addresses are in it.
  return error ? { said: "lost", error: new Error("an answer of EasyPost cannot be read") } : { said: "done", value };
}

/** The body; undefined for one that is no JSON. @throws when it breaks off, or is too long */
async function jsonOf(response: Response): Promise<unknown> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body ?? []) {
    length += chunk.length;
    if (length > largestAnswer) throw new Error("an answer of EasyPost is too long");
    chunks.push(chunk);
  }
  try {
    // biome-ignore lint/plugin/json: of EasyPost, not longer than above; what of it is used is checked
    return JSON.parse(Buffer.concat(chunks).toString());
  } catch {
    return undefined;
  }
}
