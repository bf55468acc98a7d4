/** An error as Stripe answers it: some have no code, but a text. */
export class Refusal extends Error {
  readonly status: number;
  readonly body: { readonly error: object };

  constructor(status: number, type: string, more: Readonly<Record<string, unknown>>) {
    super(String(more.message ?? more.code));
    this.status = status;
    this.body = { error: { type, message: `refused: ${more.code}`, ...more } };
  }
}

/** A request that cannot be. */
export function invalid(code: string): Refusal {
  return new Refusal(400, "invalid_request_error", { code });
}

/** @throws Refusal of what names something that is not there */
export function missing(): never {
  throw new Refusal(404, "invalid_request_error", { code: "resource_missing" });
}

/** @throws Refusal of a card */
export function decline(decline_code: string): never {
  throw new Refusal(402, "card_error", { code: "card_declined", decline_code });
}
