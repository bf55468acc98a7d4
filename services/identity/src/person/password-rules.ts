import type { ZxcvbnFactory } from "@zxcvbn-ts/core";
import { weakPassword } from "../proof/errors.ts";

let loading: Promise<ZxcvbnFactory> | undefined;

/** Knows passwords that were found in breaches, rows of keys, repetitions and the like. Its lists take a quarter of a second to load. */
function estimator(): Promise<ZxcvbnFactory> {
  loading ??= Promise.all([import("@zxcvbn-ts/core"), import("@zxcvbn-ts/language-common")]).then(
    ([{ ZxcvbnFactory }, { adjacencyGraphs, dictionary }]) =>
      new ZxcvbnFactory({ dictionary, graphs: adjacencyGraphs }),
  );
  return loading;
}

/** "Safely unguessable", by zxcvbn: more than 10^8 guesses, where a login is delayed. */
const leastScore = 3;
/** It looks at so many characters: what is longer is not weaker, and the worst that somebody can make it look at takes its time. */
const mostEstimated = 32;
/** What somebody would try here before anything else. */
const ours = ["ordermesh"];

/**
 * Refuses a password that is too short or too easy. Nothing else is asked of it, no digits and no signs: NIST SP 800-63B-4, section 3.1.1.2.
 *
 * @param email whose password it is
 * @throws WEAK_PASSWORD
 */
export async function requireStrong(
  password: string,
  { email, minLength }: { email: string; minLength: number },
): Promise<void> {
  if ([...password.normalize("NFKC")].length < minLength) throw weakPassword("length", minLength);
  const personal = [...ours, email, ...email.split(/[@.+_-]/).filter((part) => part.length > 2)];
  const { score } = (await estimator()).check(password.slice(0, mostEstimated), personal);
  if (score < leastScore) throw weakPassword("guessable", minLength);
}
