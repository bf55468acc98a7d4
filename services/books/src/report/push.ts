import { Gauge, Pushgateway, Registry } from "prom-client";
import type { Balance } from "../balance/balance.ts";

/** What a comparison of the books came to. */
export interface Verification {
  /** Sentences on what does not agree. */
  readonly findings: number;
  /** What was compared. */
  readonly checks: number;
  /** Orders that had not come to their end. */
  readonly underway: number;
  readonly seconds: number;
}

/** The comparison as it is told. @param seconds how long it took */
export function toVerification({ findings, underway }: Balance, seconds: number): Verification {
  const wrong = findings.reduce((count, finding) => count + finding.wrong.length, 0);
  return { findings: wrong, checks: findings.length, underway, seconds };
}

/** How the pushed metrics are called, and what they mean. */
export const verificationHelp: Readonly<Record<keyof Verification | "time", { name: string; help: string }>> = {
  findings: { name: "ordermesh_verify_findings", help: "What did not agree when stock and money were last compared." },
  checks: { name: "ordermesh_verify_checks", help: "Comparisons of the last run." },
  underway: {
    name: "ordermesh_verify_orders_underway",
    help: "Orders that had not come to their end in the last run.",
  },
  seconds: { name: "ordermesh_verify_duration_seconds", help: "How long the last run took." },
  time: {
    name: "ordermesh_verify_last_run_timestamp_seconds",
    help: "When stock and money were last compared, whatever came out.",
  },
};

const timeoutMs = 5_000;

/**
 * Tells a Pushgateway what the last run found; it takes the place of the run before. A batch job has ended when Prometheus
 * would ask it.
 * @param url the Pushgateway's base URL
 * @throws Error when it cannot be reached within 5 s or refuses
 */
export async function pushVerification(url: string, result: Verification): Promise<void> {
  const registry = new Registry();
  for (const [key, about] of Object.entries(verificationHelp)) {
    const gauge = new Gauge({ ...about, registers: [registry] });
    gauge.set(key === "time" ? Date.now() / 1_000 : result[key as keyof Verification]);
  }
  const gateway = new Pushgateway(url, { timeout: timeoutMs }, registry);
  await gateway.push({ jobName: "verify" });
}
