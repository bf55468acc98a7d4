// What the contract of a carrier's connector promises, each as something that is tried.
import type { TurnBackOutcome } from "#gen/ordermesh/connectors/v1/carrier_parcel_pb.js";
import { newId } from "#platform/id.ts";
import { type CarrierTrial, type Said, sayParcel } from "./carrier-trial.ts";
import type { TriedPromise } from "./promises.ts";
import { require } from "./trial.ts";

const sent = 8;
const needsTwo = ({ capabilities }: CarrierTrial) =>
  capabilities.maxEntries < 2 ? "it takes one entry in a call" : undefined;

async function capabilities({ capabilities: { maxEntries } }: CarrierTrial): Promise<void> {
  require(maxEntries >= 1 && maxEntries <= 256, `max_entries is ${maxEntries}, not 1 to 256`);
}

async function repeats(trial: CarrierTrial): Promise<void> {
  const { parcel, trackingNumber } = await trial.taken();
  require(trackingNumber !== "" && trackingNumber.length <= 128, "a tracking number has not 1 to 128 characters");
  const [again] = await trial.book([parcel]);
  const [found] = await trial.find([parcel.key]);
  for (const outcome of [again, found]) {
    const same = outcome?.result.case === "booked" && outcome.result.value.trackingNumber === trackingNumber;
    require(same, `a parcel with the same key is ${sayParcel(outcome?.result)} later, or has another number`);
  }
  const other = await trial.taken();
  require(other.trackingNumber !== trackingNumber, "two parcels have one tracking number");
}

async function unknownKeys(trial: CarrierTrial): Promise<void> {
  const parcel = trial.parcel();
  for (const why of ["was never sent", "was only asked for"]) {
    const [found] = await trial.find([parcel.key]);
    require(found?.result.case === "unknown", `what ${why} is ${sayParcel(found?.result)}`);
  }
  const [cancelled] = await trial.cancel([parcel.key]);
  require(cancelled?.result.case ===
    "unknown", `what was never sent is ${sayParcel(cancelled?.result)} when it is called off`);
  const result = await trial.settle(parcel);
  require(result.case === "booked", `what was asked for before it was sent is ${sayParcel(result)}`);
}

async function onceAtTheSameTime(trial: CarrierTrial): Promise<void> {
  const parcel = trial.parcel();
  const answers = await Promise.allSettled(Array.from({ length: sent }, () => trial.book([parcel])));
  const result = await trial.settle(parcel, true);
  require(result.case === "booked", `a parcel that was sent ${sent} times at once is ${sayParcel(result)}`);
  for (const answer of answers) {
    const said = answer.status === "fulfilled" ? answer.value[0]?.result : undefined;
    if (said?.case !== "booked") continue;
    const same = said.value.trackingNumber === result.value.trackingNumber;
    require(same, `a parcel that was sent ${sent} times at once has more than one tracking number`);
  }
}

async function lostAnswers(trial: CarrierTrial): Promise<void> {
  const parcel = trial.parcel();
  await trial.book([parcel]).catch(() => undefined);
  const found = await trial.settle(parcel, true);
  require(found.case === "booked", `a parcel whose answer was lost is ${sayParcel(found)} when it is asked for`);
  const [again] = await trial.book([parcel]);
  const same = again?.result.case === "booked" && again.result.value.trackingNumber === found.value.trackingNumber;
  require(same, "a parcel that is sent again has another number");
}

async function refuses(trial: CarrierTrial): Promise<void> {
  const parcel = trial.parcel("refused");
  const first = await trial.settle(parcel);
  require(first.case === "refused", `a parcel to the address that is not served is ${sayParcel(first)}`);
  require(first.value.code !== "", "a refusal has no code");
  const [found] = await trial.find([parcel.key]);
  require(found?.result.case === "refused" &&
    found.result.value.code === first.value.code, `a refusal is ${sayParcel(found?.result)} later`);
}

async function apart(trial: CarrierTrial): Promise<void> {
  const parcels = [trial.parcel(), trial.parcel("refused"), trial.parcel()];
  const some = parcels.slice(0, trial.capabilities.maxEntries);
  await trial.book(some);
  const results = [];
  for (const parcel of some) results.push((await trial.settle(parcel, true)).case);
  const wanted = ["booked", "refused", "booked"].slice(0, some.length);
  require(results.join() === wanted.join(), `${wanted.join(", ")} were to be, and are ${results.join(", ")}`);
}

async function tooLate(trial: CarrierTrial): Promise<void> {
  const parcel = trial.parcel("taken", -1_000);
  const [late] = await trial.book([parcel]);
  require(late?.result.case === "unknown", `a parcel that comes after its expire_time is ${sayParcel(late?.result)}`);
  const [found] = await trial.find([parcel.key]);
  require(found?.result.case ===
    "unknown", `a parcel that came after its expire_time is ${sayParcel(found?.result)} later`);
  const { parcel: known } = await trial.taken();
  const [again] = await trial.book([{ ...known, expireTime: parcel.expireTime } as typeof known]);
  require(again?.result.case ===
    "booked", `a parcel that is known and comes again after its expire_time is ${sayParcel(again?.result)}`);
}

async function callsOff(trial: CarrierTrial): Promise<void> {
  const { parcel } = await trial.taken();
  const cancelled = await trial.untilDefinite(
    "a cancellation",
    async () => (await trial.cancel([parcel.key]))[0]?.result,
  );
  require(cancelled.case ===
    "cancelled", `a parcel that nobody has collected is ${sayParcel(cancelled)} when it is called off`);
  trial.booked.delete(parcel.key);
  const [found] = await trial.find([parcel.key]);
  const [again] = await trial.book([parcel]);
  for (const outcome of [found, again]) {
    require(outcome?.result.case === "cancelled", `what was called off is ${sayParcel(outcome?.result)} later`);
  }
}

function sayTurnBack(result: Said<TurnBackOutcome>): string {
  return result.case === "refused" ? `refused (${result.value.code})` : (result.case ?? "nothing");
}

async function turnsBack(trial: CarrierTrial): Promise<void> {
  const { parcel } = await trial.taken();
  const ask = () =>
    trial.untilDefinite("turning a parcel back", async () => {
      const { outcomes } = await trial.connector.turnBackParcels({ keys: [parcel.key] });
      require(outcomes.length === 1, `${outcomes.length} outcomes were answered for 1 entry`);
      return outcomes[0]?.result;
    });
  const [first, again] = [sayTurnBack(await ask()), sayTurnBack(await ask())];
  require(first === again, `turning a parcel back is ${first}, and ${again} when it is asked again`);
}

async function labels(trial: CarrierTrial): Promise<void> {
  const label = trial.label();
  const find = async () => (await trial.connector.findLabels({ keys: [label.key] })).outcomes[0]?.result;
  const before = await find();
  require(before?.case === "unknown", `a label that was never asked for is ${sayParcel(before)}`);
  const make = async () => (await trial.connector.makeLabels({ labels: [label] })).outcomes[0]?.result;
  const first = await trial.untilDefinite("a label", make);
  require(first.case === "made", `a label to the address that is served is ${sayParcel(first)}`);
  require(first.value.trackingNumber !== "" && first.value.label !== "", "a label has no number, or is none");
  for (const result of [await make(), await find()]) {
    const same = result?.case === "made" && result.value.trackingNumber === first.value.trackingNumber;
    require(same, `a label with the same key is ${sayParcel(result)} later, or has another number`);
  }
}

async function tracks(trial: CarrierTrial): Promise<void> {
  const { parcel } = await trial.taken();
  const { ways } = await trial.connector.trackParcels({ keys: [parcel.key, newId()] });
  require(ways.length === 2, `${ways.length} ways were answered for 2 keys`);
  const [known, unknown] = ways.map(({ result }) => result);
  require(known?.case === "known", `the way of a parcel that was booked is ${known?.case ?? "nothing"}`);
  require(unknown?.case === "unknown", `the way of a parcel that was never sent is ${unknown?.case ?? "nothing"}`);
  for (const { eventId, eventTime } of known.value.events) {
    require(eventId !== "" && eventTime !== undefined, "something has happened under no id, or at no time");
  }
}

async function lists(trial: CarrierTrial): Promise<void> {
  await trial.taken();
  const missing = new Map(trial.booked);
  for (let afterKey = "", more = true; more; ) {
    const page = await trial.connector.listParcels({ afterKey, limit: 50 });
    require(page.parcels.length <= 50, `${page.parcels.length} parcels were listed, where 50 were asked for`);
    for (const { key, outcome } of page.parcels) {
      require(key > afterKey, `${key} is listed behind ${afterKey}`);
      afterKey = key;
      const number = missing.get(key);
      if (number === undefined) continue;
      missing.delete(key);
      const same = outcome?.result.case === "booked" && outcome.result.value.trackingNumber === number;
      require(same, `parcel ${key} is listed as ${sayParcel(outcome?.result)}, or with another number`);
    }
    require(!page.more || page.parcels.length > 0, "there is more to list, and nothing is listed");
    more = page.more;
  }
  const [lost] = missing.keys();
  require(lost === undefined, `parcel ${lost} is not listed`);
}

/** All of them. */
export const carrierPromises: readonly TriedPromise<CarrierTrial>[] = [
  { promise: "it says what it can", keep: capabilities },
  { promise: "a key is one parcel, with the same number each time", keep: repeats },
  {
    promise: "what was never sent is unknown, also when it is called off, and can be sent afterwards",
    keep: unknownKeys,
  },
  { promise: "what is sent several times at once is one parcel", keep: onceAtTheSameTime },
  { promise: "an answer that is lost can be asked for, and what is sent again is no second parcel", keep: lostAnswers },
  { promise: "a refusal has a code, and stays one", keep: refuses },
  { promise: "parcels of one call have their own outcomes, in their order", without: needsTwo, keep: apart },
  { promise: "what comes too late is not booked", keep: tooLate },
  { promise: "what is called off stays so", keep: callsOff },
  {
    promise: "what is said of turning a parcel back stays so",
    without: ({ capabilities: said }) => (said.turnsBack ? undefined : "it does not turn parcels back"),
    keep: turnsBack,
  },
  {
    promise: "a key is one label, with the same number each time",
    without: ({ capabilities: said }) => (said.makesLabels ? undefined : "it makes no labels"),
    keep: labels,
  },
  { promise: "it says what has happened to parcels, and which it does not have", without: needsTwo, keep: tracks },
  { promise: "all that was booked is listed, in the order of keys", keep: lists },
];
