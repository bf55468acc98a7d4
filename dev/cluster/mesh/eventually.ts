import { setTimeout as pause } from "node:timers/promises";
import { ClusterError } from "../errors.ts";

/** Each question starts a kubectl, which costs the machine that is looked at. */
const pauseMs = 2_000;

/** What is waited for. */
export interface Wanted<T> {
  /** As a part of a sentence, like "a second pod". */
  readonly what: string;
  readonly seconds: number;
  ask(): Promise<T>;
  is(answer: T): boolean;
}

/** Asks every two seconds until the answer is the wanted one. @throws ClusterError with the last answer */
export async function eventually<T>({ what, seconds, ask, is }: Wanted<T>): Promise<T> {
  const end = Date.now() + seconds * 1_000;
  for (;;) {
    const answer = await ask();
    if (is(answer)) return answer;
    if (Date.now() > end) {
      throw new ClusterError(`${what}: not within ${seconds} s, but ${JSON.stringify(answer).slice(0, 500)}`);
    }
    await pause(pauseMs);
  }
}
