import { carrierPromises } from "./carrier-promises.ts";
import { CarrierTrial, type CarrierTrialOptions } from "./carrier-trial.ts";
import { type PromiseResult, promises, type TriedPromise, tryPromise } from "./promises.ts";
import { Trial, type TrialOptions } from "./trial.ts";
import { WarehouseTrial, type WarehouseTrialOptions, warehousePromises } from "./warehouse-promises.ts";

/** Told what came of a promise. */
type Tell = (result: PromiseResult) => void;

const ignore: Tell = () => undefined;

/** Tries every promise of a card gateway's contract, one after the other, and tells what came of each. @throws what keeps it from asking at all */
export async function runConformance(options: TrialOptions, tell: Tell = ignore): Promise<readonly PromiseResult[]> {
  const capabilities = await options.connector.getCapabilities({}, { timeoutMs: options.timeoutMs ?? 10_000 });
  return await tryAll(new Trial(options, capabilities), promises, tell);
}

/** The same of a carrier's. */
export async function runCarrierConformance(
  options: CarrierTrialOptions,
  tell: Tell = ignore,
): Promise<readonly PromiseResult[]> {
  const capabilities = await options.connector.getCarrierCapabilities({}, { timeoutMs: options.timeoutMs ?? 10_000 });
  return await tryAll(new CarrierTrial(options, capabilities), carrierPromises, tell);
}

/** The same of a warehouse's. @throws what keeps it from asking at all */
export async function runWarehouseConformance(
  options: WarehouseTrialOptions,
  tell: Tell = ignore,
): Promise<readonly PromiseResult[]> {
  return await tryAll(await WarehouseTrial.begin(options), warehousePromises, tell);
}

async function tryAll<T>(trial: T, all: readonly TriedPromise<T>[], tell: Tell): Promise<readonly PromiseResult[]> {
  const results: PromiseResult[] = [];
  for (const promise of all) {
    const result = await tryPromise(trial, promise);
    results.push(result);
    tell(result);
  }
  return results;
}
