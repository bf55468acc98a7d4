import type { Alert, Recording, RuleGroup } from "./alerts/rule.ts";

/** A promise to customers, as a share of events that may go wrong. */
interface Objective {
  /** Begins the names of its series and alerts. */
  readonly series: string;
  readonly alert: string;
  /** The part of all events that may be bad: 0.001 for 99.9 %. */
  readonly budget: number;
  /** Bad events in a window, by namespace. */
  bad(window: string): string;
  /** All events in a window, by namespace. */
  all(window: string): string;
  readonly hurt: string;
  readonly what: string;
}

/**
 * An order is confirmed when its saga has answered: confirmed, or refused for a reason of the customer's (out of stock,
 * declined). Orders that get no answer at all are in `orders_created_total` alone, so they count as bad.
 */
const confirmation: Objective = {
  series: "orders_unconfirmed",
  alert: "OrderConfirmation",
  budget: 0.001,
  bad: (window) =>
    `clamp_min(sum by (namespace) (increase(orders_created_total[${window}]))
      - sum by (namespace) (increase(orders_processing_seconds_bucket{status=~"confirmed|rejected", le="5"}[${window}])), 0)`,
  all: (window) => `sum by (namespace) (increase(orders_created_total[${window}]))`,
  what: "orders get no answer within 5 s",
  hurt: "Customers wait for the confirmation of their orders, or never get one. Promised are 99.9 % within 5 s.",
};

/** What a caller cannot be blamed for, as the gRPC status says it. */
export const faults = "Unavailable|Internal|Unknown|DataLoss|DeadlineExceeded|ResourceExhausted";
/** Streams, which last as long as their callers like, and end with every process: a caller opens the next one. */
export const watches = ".*/Watch.*";
/** The calls that customers' requests come in by. */
const frontDoor = `service="orders", rpc=~"shop.orders.v1.(OrderService|CustomerService)/.*", rpc!~"${watches}"`;

const availability: Objective = {
  series: "orders_api_faults",
  alert: "Availability",
  budget: 0.0001,
  bad: (window) =>
    `(sum by (namespace) (increase(rpc_server_duration_seconds_count{${frontDoor}, code=~"${faults}"}[${window}]))
      or 0 * sum by (namespace) (increase(rpc_server_duration_seconds_count{${frontDoor}}[${window}])))`,
  all: (window) => `sum by (namespace) (increase(rpc_server_duration_seconds_count{${frontDoor}}[${window}]))`,
  what: "calls to orders fail by our fault",
  hurt: "Customers cannot place, see or change orders. Promised are 99.99 % of calls.",
};

/** What is promised to customers. */
export const objectives: readonly Objective[] = [confirmation, availability];

/**
 * How fast the budget of 30 days burns when somebody should know: 14.4 times is 2 % of it in an hour, 6 times 5 % in six
 * hours, 3 times 10 % in a day, once 10 % in three days. The short window ends the alert soon after the trouble ends.
 * Figures: The Site Reliability Workbook, chapter 5, table 5-8.
 */
const burns = {
  page: [
    { factor: 14.4, long: "1h", short: "5m" },
    { factor: 6, long: "6h", short: "30m" },
  ],
  ticket: [
    { factor: 3, long: "1d", short: "2h" },
    { factor: 1, long: "3d", short: "6h" },
  ],
} as const;

const windows = ["5m", "30m", "1h", "2h", "6h", "1d", "3d"] as const;

/** Fewer bad events than this in six hours wake nobody: one bad order among three is no reason. */
const fewestBad = 5;

function ratio({ series }: Objective, window: string): string {
  return `namespace:${series}:ratio_rate${window}`;
}

function recordings(objective: Objective): Recording[] {
  const ratios = windows.map((window) => ({
    record: ratio(objective, window),
    expr: `(${objective.bad(window)}) / (${objective.all(window)} > 0)`,
  }));
  return [...ratios, { record: `namespace:${objective.series}:increase6h`, expr: objective.bad("6h") }];
}

function burning(objective: Objective, severity: keyof typeof burns): string {
  const pairs = burns[severity].map(({ factor, long, short }) => {
    // Floating point would write 0.014400000000000001.
    const limit = Number((factor * objective.budget).toPrecision(6));
    return `(${ratio(objective, long)} > ${limit} and ${ratio(objective, short)} > ${limit})`;
  });
  const enough = `namespace:${objective.series}:increase6h >= ${fewestBad}`;
  return severity === "page" ? `(${pairs.join(" or ")}) and ${enough}` : pairs.join(" or ");
}

function alerts(objective: Objective): Alert[] {
  const { alert, what, hurt } = objective;
  const labels = { service: "orders", slo: objective.series };
  return [
    {
      alert: `${alert}BurnsFast`,
      severity: "page",
      expr: burning(objective, "page"),
      lasts: "1m",
      labels,
      summary: `{{ $value | humanizePercentage }} of ${what} ({{ $labels.namespace }})`,
      description: hurt,
    },
    {
      alert: `${alert}BurnsSlowly`,
      severity: "ticket",
      expr: burning(objective, "ticket"),
      lasts: "15m",
      labels,
      summary: `{{ $value | humanizePercentage }} of ${what}, for a long time ({{ $labels.namespace }})`,
      description: `${hurt} At this rate the promise for 30 days will be broken.`,
    },
  ];
}

/** The series of the promises, and the alerts on how fast their budgets burn. */
export const sloGroups: readonly RuleGroup[] = objectives.map((objective) => ({
  name: `ordermesh-slo-${objective.series.replaceAll("_", "-")}`,
  rules: [...recordings(objective), ...alerts(objective)],
}));
