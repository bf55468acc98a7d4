/**
 * Splits a total in proportion to weights, by the method of the largest remainder: the parts sum to the total, each is its
 * exact share rounded down or up, and of equal remainders the first is rounded up. When the weights sum to the total, the
 * parts are the weights. Weights that are all zero share equally.
 *
 * @param weights none below zero
 * @param total not below zero; of nothing, a total that is not zero cannot be split
 */
export function apportion(weights: readonly bigint[], total: bigint): bigint[] {
  const sum = weights.reduce((all, weight) => all + weight, 0n);
  if (sum === total) return [...weights];
  const shares = sum === 0n ? weights.map(() => 1n) : weights;
  const whole = sum === 0n ? BigInt(weights.length) : sum;
  const products = shares.map((share) => share * total);
  const parts = products.map((product) => product / whole);
  const byRemainder = products
    .map((product, index) => ({ index, remainder: product % whole }))
    .sort((a, b) => (a.remainder === b.remainder ? a.index - b.index : a.remainder < b.remainder ? 1 : -1));
  // Fewer than there are parts.
  const left = Number(total - parts.reduce((all, part) => all + part, 0n));
  for (const { index } of byRemainder.slice(0, left)) parts[index] = (parts[index] ?? 0n) + 1n;
  return parts;
}
