import type { Chance } from "./chance.ts";

/** What somebody wants of an order later. */
export type Afterthought =
  | {
      readonly kind: "more";
      readonly afterMs: number;
      readonly pieces: number;
      readonly cardToken: string;
      /** Whether one of them comes back in the end. */
      readonly returned: boolean;
    }
  | { readonly kind: "fewer"; readonly afterMs: number }
  | { readonly kind: "elsewhere"; readonly afterMs: number }
  | { readonly kind: "back"; readonly restocked: boolean }
  | {
      readonly kind: "exchange";
      readonly restocked: boolean;
      /** How many of the same article are wanted for the one that comes back. */
      readonly pieces: number;
      readonly cardToken: string;
      /** Whether what is sent for it is cancelled as soon as it is known. */
      readonly cancelled: boolean;
    };

/** From the first moment until the parcel has been packed. */
const latestMs = 4_000;
const cards = [
  "tok_approve",
  "tok_approve",
  "tok_decline",
  "tok_timeout_after_success",
  "tok_capture_error_500",
] as const;

/** What one of three thinks of later. */
export function drawAfterthought(chance: Chance): Afterthought | undefined {
  if (chance.next() > 1 / 3) return undefined;
  const afterMs = Math.round(latestMs * chance.next() ** 2);
  switch (chance.pick(["more", "fewer", "elsewhere", "back", "exchange"])) {
    case "more":
      return {
        kind: "more",
        afterMs,
        pieces: chance.between(1, 3),
        cardToken: chance.pick(cards),
        returned: chance.next() < 0.5,
      };
    case "fewer":
      return { kind: "fewer", afterMs };
    case "elsewhere":
      return { kind: "elsewhere", afterMs };
    case "exchange":
      return {
        kind: "exchange",
        restocked: chance.next() < 0.5,
        pieces: chance.between(1, 2),
        cardToken: chance.pick(cards),
        cancelled: chance.next() < 0.5,
      };
    default:
      return { kind: "back", restocked: chance.next() < 0.5 };
  }
}
