import { StepRefused } from "./engine/failures.ts";
import { nothing, type SagaBody, together } from "./engine/saga.ts";
import type { OrderRun, TakenBack } from "./order-run.ts";
import type { WantedLabel } from "./order-state.ts";
import type { Steps } from "./steps.ts";

/** Takes back what came back of an order, each return for itself: one that has to wait keeps no other waiting. */
export async function takeBack(run: OrderRun, steps: Steps, body: SagaBody): Promise<void> {
  await together(run.returns.map((each) => takeBackOne(each, steps, body)));
}

/**
 * Puts the articles on the shelf and pays back what they have cost, neither waiting for the other: the customer has sent them, whatever
 * becomes of the stock. What is scrap goes nowhere. When both are done, orders is told, and nobody asks for it again.
 */
async function takeBackOne(taken: TakenBack, { stock, payments, orders }: Steps, body: SagaBody): Promise<void> {
  const shelve = async () => {
    if (taken.parts.length > 0) await body.forward(stock.restock, nothing, taken);
  };
  await together([shelve(), repay(taken, payments, body)]);
  await body.forward(orders.complete, nothing, taken);
  taken.isComplete = true;
}

/**
 * Pays back what came back, or what somebody grants: that a second person may have to approve, and may not. What is begun is not refused
 * any more: where a further payment has to pay the rest and may not, an operator decides.
 */
async function repay(taken: TakenBack, payments: Steps["payments"], body: SagaBody): Promise<void> {
  if (taken.isRepaid) return;
  const [first, ...others] = taken.charges;
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
