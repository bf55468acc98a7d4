import { mustSucceed, type Release, type Values } from "./release.ts";

/** How an upgrade ended. */
export interface Verdict {
  readonly rolledBack: boolean;
  /** Why, when it was rolled back. */
  readonly reason: string;
}

/**
 * Upgrades, places an order through what is new (`helm test`), and goes back to the revision before when either fails.
 * @throws ClusterError when going back fails as well
 */
export async function upgradeTested(release: Release, values: readonly Values[]): Promise<Verdict> {
  // Helm itself goes back when pods do not become ready.
  const upgrade = await release.upgrade(values, ["--atomic"]);
  if (upgrade.code !== 0) return { rolledBack: true, reason: upgrade.stderr.trim() };
  const test = await release.test();
  if (test.code === 0) return { rolledBack: false, reason: "" };
  mustSucceed("helm rollback", await release.rollback());
  return { rolledBack: true, reason: (test.stderr || test.stdout).trim().slice(-500) };
}
