import { Gauge, Pushgateway, Registry } from "prom-client";
import type { Balance } from "../balance/balance.ts";
import type { Rest } from "../balance/rest.ts";

/** What a comparison of the books came to. */
export interface Verification {
  /** Sentences on what does not agree. */
  readonly findings: number;
  /** What was compared. */
  readonly checks: number;
  /** Orders that had not come to their end. */
  readonly underway: number;
  /** Where these stand, and for how long. */
  readonly rests: readonly Omit<Rest, "state" | "step">[];
  /** What was done at the gateway without us within the last week. */
  readonly outside: number;
  readonly seconds: number;
}

/** The comparison as it is told. @param seconds how long it took */
export function toVerification({ findings, underway, rests, outside }: Balance, seconds: number): Verification {
  const wrong = findings.reduce((count, finding) => count + finding.wrong.length, 0);
  return { findings: wrong, checks: findings.length, underway, rests, outside: outside.recent, seconds };
}

/** How the pushed metrics are called, and what they mean. */
export const verificationHelp = {
  findings: { name: "ordermesh_verify_findings", help: "What did not agree when stock and money were last compared." },
  checks: { name: "ordermesh_verify_checks", help: "Comparisons of the last run." },
  outside: {
    name: "ordermesh_verify_outside_operations",
    help: "What people did at the card gateway with payments of ours, without us, and was learned of within the last week.",
  },
  underway: {
    name: "ordermesh_verify_orders_underway",
    help: "Orders that had not come to their end in the last run.",
  },
  resting: {
    name: "ordermesh_verify_orders_resting",
    help: "The same, by the status in which they stood (label status).",
  },
  restingSeconds: {
    name: "ordermesh_verify_orders_resting_seconds",
    help: "For how long nothing had happened to the one of them that waits the longest, by status.",
  },
  seconds: { name: "ordermesh_verify_duration_seconds", help: "How long the last run took." },
  time: {
    name: "ordermesh_verify_last_run_timestamp_seconds",
    help: "When stock and money were last compared, whatever came out.",
  },
} as const satisfies Readonly<Record<string, { name: string; help: string }>>;

const timeoutMs = 5_000;

/**
 * Tells a Pushgateway what the last run found; it takes the place of the run before. A batch job has ended when Prometheus
 * would ask it.
 * @param url the Pushgateway's base URL
 * @throws Error when it cannot be reached within 5 s or refuses
 */
export async function pushVerification(url: string, result: Verification): Promise<void> {
  const registry = new Registry();
  const registers = [registry];
  const single = {
    findings: result.findings,
    checks: result.checks,
    underway: result.underway,
    outside: result.outside,
    seconds: result.seconds,
  };
  for (const [key, value] of Object.entries({ ...single, time: Date.now() / 1_000 })) {
    new Gauge({ ...verificationHelp[key as keyof typeof single | "time"], registers }).set(value);
  }
  const labelNames = ["status"] as const;
  const resting = new Gauge({ ...verificationHelp.resting, labelNames, registers });
  const restingSeconds = new Gauge({ ...verificationHelp.restingSeconds, labelNames, registers });
  for (const [status, rests] of Map.groupBy(result.rests, (rest) => rest.status)) {
    resting.set(
      { status },
      rests.reduce((sum, { orders }) => sum + orders, 0),
    );
    restingSeconds.set({ status }, Math.max(...rests.map(({ longestSeconds }) => longestSeconds)));
  }
  const gateway = new Pushgateway(url, { timeout: timeoutMs }, registry);
  await gateway.push({ jobName: "verify" });
}
