/**
 * Splits a list into rounds, each of which may go at once, so that of one thing there is one event in each, in the order of the list. What
 * of a round does not arrive holds back what comes after it: a later event of the same thing never arrives before an earlier one.
 *
 * @param most so many in a round
 */
export function roundsOf<T>(list: readonly T[], about: (entry: T) => string, most: number): T[][] {
  const rounds: T[][] = [];
  const next = new Map<string, number>();
  /** Rounds before it are full. */
  let open = 0;
  for (const entry of list) {
    const key = about(entry);
    let at = Math.max(open, next.get(key) ?? 0);
    while ((rounds[at]?.length ?? 0) >= most) at += 1;
    const round = rounds[at] ?? [];
    rounds[at] = round;
    round.push(entry);
    next.set(key, at + 1);
    while ((rounds[open]?.length ?? 0) >= most) open += 1;
  }
  return rounds;
}
