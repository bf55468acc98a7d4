/** Waits for all even when one fails, so that nothing is started behind the back of the one that cleans up. @throws what the first of them failed with */
export async function all(work: readonly (Promise<void> | false)[]): Promise<void> {
  const results = await Promise.allSettled(work);
  const failure = results.find((result) => result.status === "rejected");
  if (failure) throw failure.reason;
}
