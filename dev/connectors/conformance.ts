import { type PromiseResult, promises, tryPromise } from "./promises.ts";
import { Trial, type TrialOptions } from "./trial.ts";

/** Tries every promise of the contract, one after the other, and tells what came of each. @throws what keeps it from asking at all */
export async function runConformance(
  options: TrialOptions,
  tell: (result: PromiseResult) => void = () => undefined,
): Promise<readonly PromiseResult[]> {
  const capabilities = await options.connector.getCapabilities({}, { timeoutMs: options.timeoutMs ?? 10_000 });
  const trial = new Trial(options, capabilities);
  const results: PromiseResult[] = [];
  for (const promise of promises) {
    const result = await tryPromise(trial, promise);
    results.push(result);
    tell(result);
  }
  return results;
}
