import { isId } from "#platform/id.ts";

/** Somebody who was erased. */
export interface ErasedCustomer {
  readonly customerId: string;
  readonly eraseTime: Date;
}

/** A list that cannot be read. Its message says where, and nothing of what is there. */
export class ErasedListError extends Error {
  override readonly name = "ErasedListError";
}

/** The line of a list that says of one customer that he was erased: his id and when. */
export function erasedLine({ customerId, eraseTime }: ErasedCustomer): string {
  return `${customerId} ${eraseTime.toISOString()}\n`;
}

/**
 * Whom a line is about: one of {@link erasedLine}, or one of the published audit log, which is JSON; undefined when it is about nobody
 * who was erased.
 *
 * @param number of the line, from 1
 * @throws ErasedListError
 */
export function erasedIn(line: string, number: number): string | undefined {
  const text = line.trim();
  if (text === "" || text.startsWith("#")) return undefined;
  const customerId = text.startsWith("{") ? subjectOf(text, number) : text.split(/\s/, 1)[0];
  if (customerId === undefined || isId(customerId)) return customerId;
  throw new ErasedListError(`line ${number} does not begin with the id of a customer`);
}

function subjectOf(json: string, number: number): string | undefined {
  let event: Record<string, unknown>;
  try {
    // biome-ignore lint/plugin/json: a line of a file that an operator gives, within his own process
    event = JSON.parse(json) as Record<string, unknown>;
  } catch {
    throw new ErasedListError(`line ${number} is no JSON`);
  }
  if (event["event.action"] !== "customer.erased") return undefined;
  const subject = event["audit.subject"];
  if (typeof subject === "string") return subject;
  throw new ErasedListError(`line ${number} says customer.erased, and not who`);
}

/** What erases somebody again; whether he was there. */
export interface Erasing {
  eraseAgain(customerId: string): Promise<boolean>;
}

/** What a replay did. */
export interface Replayed {
  /** They were back, and are erased again. */
  readonly erased: number;
  /** They were erased, or are not there: the backup is older than they are. */
  readonly gone: number;
}

/** Erases again whom a list names, after a restore of a backup that is older than it. Can be repeated, and cut off. @throws ErasedListError */
export async function replayErased(
  lines: AsyncIterable<string> | Iterable<string>,
  erasures: Erasing,
): Promise<Replayed> {
  const customerIds = new Set<string>();
  let number = 0;
  for await (const line of lines) {
    number += 1;
    const customerId = erasedIn(line, number);
    if (customerId !== undefined) customerIds.add(customerId);
  }
  let erased = 0;
  for (const customerId of customerIds) if (await erasures.eraseAgain(customerId)) erased += 1;
  return { erased, gone: customerIds.size - erased };
}
