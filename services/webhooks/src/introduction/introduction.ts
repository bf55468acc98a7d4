import { randomBytes, timingSafeEqual } from "node:crypto";
import { newId } from "#platform/id.ts";
import { isSuccess, outcomeOf } from "../delivery/dispatcher.ts";
import { bodyOf } from "../delivery/webhook-body.ts";
import type { EndpointRepository } from "../endpoint/endpoint.repository.ts";
import { type Endpoint, isProven } from "../endpoint/endpoint.ts";
import { signatureOf, signedHeaders } from "../endpoint/webhook-secret.ts";
import type { WebhookSecrets } from "../endpoint/webhook-secrets.ts";
import { challengeFailed, endpointUnverified } from "../proof/errors.ts";
import type { Courier } from "../wall/courier.ts";

/** What getting to know an endpoint works with. */
export interface IntroductionOptions {
  readonly endpoints: Pick<EndpointRepository, "get" | "enable">;
  readonly secrets: Pick<WebhookSecrets, "of">;
  readonly courier: Pick<Courier, "send">;
}

/** What came of a test. */
export interface Tested {
  readonly eventId: string;
  readonly succeeded: boolean;
  readonly outcome: string;
}

/** What is sent to an endpoint that is about nothing that happened. */
export class Introduction {
  readonly #options: IntroductionOptions;

  constructor(options: IntroductionOptions) {
    this.#options = options;
  }

  /**
   * Sends a challenge, and has the endpoint told when its answer shows that it has the secret: whoever only sends back what he gets has not.
   *
   * @throws ENDPOINT_NOT_FOUND, CHALLENGE_FAILED
   */
  async enable(endpointId: string): Promise<Endpoint> {
    const { endpoints, secrets } = this.#options;
    const endpoint = await endpoints.get(endpointId);
    const valid = await secrets.of(endpointId);
    const challenge = randomBytes(24).toString("base64url");
    const { id, seconds, reply } = await this.#send(endpoint, valid, { type: "webhooks.challenge.v1", challenge });
    if (!("status" in reply) || !isSuccess(reply)) throw challengeFailed(outcomeOf(reply));
    const given = signatureIn(reply.answer);
    const right = valid.some((secret) => isSame(given, signatureOf(secret, { id, seconds, body: challenge })));
    // Who was moved meanwhile has not answered.
    if (!right || !(await endpoints.enable(endpoint))) throw challengeFailed("answer");
    return endpoints.get(endpointId);
  }

  /** Sends an event that says nothing. @throws ENDPOINT_NOT_FOUND, ENDPOINT_UNVERIFIED */
  async test(endpointId: string): Promise<Tested> {
    const endpoint = await this.#options.endpoints.get(endpointId);
    if (!isProven(endpoint)) throw endpointUnverified(endpointId);
    const valid = await this.#options.secrets.of(endpointId);
    const { id: eventId, reply } = await this.#send(endpoint, valid, { type: "webhooks.test.v1" });
    return { eventId, succeeded: isSuccess(reply), outcome: outcomeOf(reply) };
  }

  async #send({ url }: Endpoint, secrets: readonly string[], { type, ...data }: { type: string; challenge?: string }) {
    const id = newId();
    const time = new Date();
    const seconds = Math.floor(time.getTime() / 1_000);
    const body = bodyOf({ type, subject: "", time, data: JSON.stringify(data) });
    const reply = await this.#options.courier.send({
      url,
      headers: signedHeaders(secrets, { id, seconds, body }),
      body,
    });
    return { id, seconds, reply };
  }
}

/** Empty where an answer has none. */
function signatureIn(answer: string): string {
  try {
    // biome-ignore lint/plugin/json: one field of it is compared
    const { signature } = JSON.parse(answer) as { signature?: unknown };
    return typeof signature === "string" ? signature : "";
  } catch {
    return "";
  }
}

function isSame(given: string, right: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(right)];
  return a.length === b.length && timingSafeEqual(a, b);
}
