import type { Hit, Lists, Marks, Verdict } from "./rules.ts";

/** Who is on which list, ready to be looked up; postal codes are hashed as orders are. */
export interface OpenLists {
  readonly allow: Listed;
  readonly review: Listed;
  readonly refuse: Listed;
}

interface Listed {
  readonly customers: ReadonlySet<string>;
  readonly emails: ReadonlySet<string>;
  readonly postalHashes: ReadonlySet<string>;
  readonly cards: ReadonlySet<string>;
}

/** Makes lists ready. */
export async function openLists(lists: Lists, hashPostalCode: (code: string) => Promise<string>): Promise<OpenLists> {
  const open = async ({ customers = [], emails = [], postal_codes = [], cards = [] }: Lists["allow"] & object) => ({
    customers: new Set(customers),
    emails: new Set(emails),
    postalHashes: new Set(await Promise.all(postal_codes.map(hashPostalCode))),
    cards: new Set(cards),
  });
  const { allow = {}, review = {}, refuse = {} } = lists;
  return { allow: await open(allow), review: await open(review), refuse: await open(refuse) };
}

/** What the lists say of an order; undefined when it passes, whatever the rules say. Who is refused by a list is so in any case. */
export function lookUp(lists: OpenLists, marks: Marks): Hit[] | undefined {
  const refused = hitsOf(lists.refuse, marks, "refuse");
  if (refused.length > 0) return refused;
  if (hitsOf(lists.allow, marks, "pass").length > 0) return undefined;
  return hitsOf(lists.review, marks, "review");
}

function hitsOf(listed: Listed, { customerId, emailHash, postalHash, cardHash }: Marks, verdict: Verdict): Hit[] {
  const found = [
    listed.customers.has(customerId) && ({ reason: "LISTED_CUSTOMER", verdict } as const),
    listed.emails.has(emailHash) && ({ reason: "LISTED_EMAIL", verdict } as const),
    listed.postalHashes.has(postalHash) && ({ reason: "LISTED_POSTAL_CODE", verdict } as const),
    listed.cards.has(cardHash) && ({ reason: "LISTED_CARD", verdict } as const),
  ];
  return found.filter((hit) => hit !== false);
}
