import type { PersonalData, Protected } from "#platform/personal/personal-data.ts";
import type { PersonalKeyRow } from "#platform/personal/personal-key.ts";
import type { OrderFailure } from "./order.ts";

/** The reason of a failure that has a text of the customer's, or of whoever cancelled for him. */
export const cancelledReason = "CANCELLED_BY_CUSTOMER";

/**
 * What the workflow is told instead: why somebody cancels is nothing that it goes by, and what it is told lies in histories, events and
 * what sagas remember. The customer reads it where nobody said why, or where that is forgotten.
 */
export const saidNothing = "on request";

/** Before the reason, in the text for the customer; the worker writes the same. */
export const cancelledText = "The order was cancelled: ";

/** What the customer reads when nobody said why. */
const plainText = `${cancelledText}${saidNothing}`;

/** SQL: whether the text of a row that is called `o` says why, as a version before wrote it. */
export const textSaysWhy = `o.failure_reason = '${cancelledReason}' and o.failure_message <> '${plainText}'`;

/** SQL that takes away what a version before wrote of reasons, in the text and in what the saga remembers, of a row that is called `o`. */
export const forgottenTexts = `failure_message = case when o.failure_reason = '${cancelledReason}' then '${plainText}'
      else o.failure_message end,
    saga = jsonb_set(
      case when o.saga #>> '{failure,reason}' = '${cancelledReason}'
        then jsonb_set(o.saga::jsonb, '{failure,customerMessage}', '"${plainText}"') else o.saga::jsonb end,
      '{cancelReason}', '"${saidNothing}"', false)::json`;

/** Longest text for a customer. */
const maxText = 500;

/** Why an order is cancelled, as `customer_order.cancel_reason` holds it: sealed as text, or this. */
export interface CancelReason {
  readonly reason: string;
}

/** A reason as it is to be stored, with the key that is written with it when it is sealed. */
export interface StoredReason {
  /** JSON. */
  readonly stored: string;
  /** JSON: a list with the key, or without. */
  readonly keys: string;
}

/** Takes a uuid. */
export function reasonPlace(orderId: string): string {
  return `customer_order.cancel_reason/${orderId}`;
}

/**
 * A reason as its column holds it.
 *
 * @param orderId a uuid
 */
export async function protectReason(personal: PersonalData, orderId: string, reason: string): Promise<StoredReason> {
  const { stored, key }: Protected<CancelReason> = await personal.protect(reasonPlace(orderId), { reason });
  const keys: readonly PersonalKeyRow[] = key ? [key] : [];
  return { stored: JSON.stringify(stored), keys: JSON.stringify(keys) };
}

/** A failure as the row of an order has it. */
export interface StoredFailure {
  readonly orderId: string;
  readonly failureReason: string | null;
  readonly failureMessage: string | null;
  /** With its key behind it when it is sealed; null when nobody said why. */
  readonly cancelReason: CancelReason | string | null;
}

/** What the customer reads, with why it was cancelled while that is known. */
export async function openFailure(personal: PersonalData, row: StoredFailure): Promise<OrderFailure | undefined> {
  const { orderId, failureReason, failureMessage, cancelReason } = row;
  if (failureReason === null) return undefined;
  const plain = { reason: failureReason, customerMessage: failureMessage ?? "" };
  if (failureReason !== cancelledReason || cancelReason === null) return plain;
  const said = await personal.reveal(reasonPlace(orderId), cancelReason);
  return said ? { reason: failureReason, customerMessage: toText(said) } : plain;
}

function toText({ reason }: CancelReason): string {
  return `${cancelledText}${reason}`.slice(0, maxText).toWellFormed();
}
