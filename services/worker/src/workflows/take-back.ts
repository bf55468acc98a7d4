import { patched } from "@temporalio/workflow";
import { StepRefused } from "./engine/failures.ts";
import { nothing, type SagaBody, together } from "./engine/saga.ts";
import type { OrderRun, TakenBack } from "./order-run.ts";
import type { Charge, WantedLabel } from "./order-state.ts";
import type { ReturnCredit, Steps } from "./steps.ts";

/** Takes back what came back of an order, each return for itself: one that has to wait keeps no other waiting. */
export async function takeBack(run: OrderRun, steps: Steps, body: SagaBody): Promise<void> {
  await together(run.returns.map((each) => takeBackOne(each, steps, body)));
}

/**
 * Has an order sent for what came back. First what it is worth is credited to that, and only then is it placed: so none is ever there without
 * its money. Whether there is one orders decides once; when there is not, what was credited goes back to the card, and the rest is paid back as
 * it would have been.
 */
async function exchange(
  taken: TakenBack,
  { orderId: creditedOrderId, credit }: NonNullable<TakenBack["exchange"]>,
  { payments, orders, body }: Pick<Steps, "payments" | "orders"> & { readonly body: SagaBody },
): Promise<void> {
  const credits = firstOf(taken.charges, credit).map((each, index) => ({
    ...each,
    taken,
    creditedOrderId,
    credit: index,
  }));
  const { made, failure } = await creditAll(credits, payments, body);
  const amounts = credits.map(({ amount }) => amount);
  if (await body.forward(orders.exchange, nothing, { taken, credits: amounts, failure })) {
    taken.refunds = without(taken.charges, credits);
    return;
  }
  for (const each of credits) await body.forward(payments.giveBack, nothing, each);
  taken.refunds = without(taken.charges, made);
}

/** Credits as much as goes. @returns what is credited, and why not all of it is; no reason: it is */
async function creditAll(
  credits: readonly ReturnCredit[],
  payments: Steps["payments"],
  body: SagaBody,
): Promise<{ made: ReturnCredit[]; failure: string }> {
  const made: ReturnCredit[] = [];
  for (const each of credits) {
    try {
      await body.step(payments.credit, nothing, each);
    } catch (cause) {
      if (!(cause instanceof StepRefused)) throw cause;
      return { made, failure: cause.refusal.reason };
    }
    made.push(each);
  }
  return { made, failure: "" };
}

/** What of charges comes first, so much of them. */
function firstOf(charges: readonly Charge[], amount: number): Charge[] {
  let open = amount;
  return charges.flatMap(({ payment, amount: all }) => {
    const some = Math.min(open, all);
    open -= some;
    return some > 0 ? [{ payment, amount: some }] : [];
  });
}

/** What is left of charges when others are taken out of them. */
function without(charges: readonly Charge[], others: readonly Charge[]): Charge[] {
  return charges.flatMap(({ payment, amount }) => {
    const gone = others.reduce((sum, other) => (other.payment === payment ? sum + other.amount : sum), 0);
    return amount > gone ? [{ payment, amount: amount - gone }] : [];
  });
}

/**
 * Puts the articles on the shelf and pays back what they have cost, neither waiting for the other: the customer has sent them, whatever
 * becomes of the stock. What is scrap goes nowhere. When both are done, orders is told, and nobody asks for it again.
 */
async function takeBackOne(taken: TakenBack, { stock, payments, orders }: Steps, body: SagaBody): Promise<void> {
  const shelve = async () => {
    if (taken.parts.length > 0) await body.forward(stock.restock, nothing, taken);
  };
  const settle = async () => {
    if (taken.isRepaid) return;
    if (taken.exchange && patched("exchanges")) await exchange(taken, taken.exchange, { payments, orders, body });
    await repay(taken, payments, body);
  };
  await together([shelve(), settle()]);
  await body.forward(orders.complete, nothing, taken);
  taken.isComplete = true;
}

/**
 * Pays back what came back, or what somebody grants: that a second person may have to approve, and may not. What is begun is not refused
 * any more: where a further payment has to pay the rest and may not, an operator decides.
 */
async function repay(taken: TakenBack, payments: Steps["payments"], body: SagaBody): Promise<void> {
  const [first, ...others] = taken.refunds;
  try {
    if (first) await body.forward(payments.repay, nothing, { ...first, taken });
  } catch (cause) {
    if (!(cause instanceof StepRefused)) throw cause;
    taken.isRefused = true;
    return;
  }
  for (const charge of others) await body.forward(payments.repayRest, nothing, { ...charge, taken });
  taken.isRepaid = true;
}

/** Has the carrier asked for labels with which customers send articles back. Each waits for itself; what the carrier says, orders is told by shipping. */
export async function requestLabels(run: OrderRun, { parcels }: Steps, body: SagaBody): Promise<void> {
  const { order } = run;
  const ask = async (label: WantedLabel) => {
    // Of several that were made for a place, the last one left.
    const generation = run.parcels.find(({ locationId }) => locationId === label.locationId)?.generation;
    await body.forward(parcels.label, nothing, { ...label, order, ...(generation && { generation }) });
  };
  await together((order.labels ?? []).map(ask));
}
