import { type RestingPlace, requestContext } from "./context.ts";

/** Outside of a call, and where calls hold no place to leave. */
const nowhere: RestingPlace = {
  rest: (wait) => wait(),
  [Symbol.dispose]: () => undefined,
};

/**
 * A place for the running call to wait in, while it works on nothing: the next call works instead. To be taken before
 * anything has an effect, because there may be none left, and given back with `using` when there is nothing more to wait
 * for. A call needs one place however often it is asked for.
 *
 * @throws OVERLOADED when as many calls wait as the process takes
 */
export function restingPlace(): RestingPlace {
  return requestContext().takeRestingPlace?.() ?? nowhere;
}

/**
 * Waits for something to happen in a place taken only now: for a call that has had no effect yet.
 *
 * @throws OVERLOADED when as many calls wait as the process takes; the wait has not begun then
 */
export async function resting<T>(wait: () => Promise<T>): Promise<T> {
  using place = restingPlace();
  return await place.rest(wait);
}
