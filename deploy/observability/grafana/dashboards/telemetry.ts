import { dashboard, lines, scope, serviceScope } from "./parts.ts";

/** Whether we would see if something were wrong. */
export const telemetry = dashboard({
  uid: "ordermesh-telemetry",
  title: "Ordermesh · Telemetry",
  description: "What telemetry loses, and how far it is behind.",
  rows: [
    {
      title: "Traces",
      panels: [
        lines({
          title: "Spans, by outcome",
          description: "Spans a second that were exported, dropped for want of room, or refused. Runbook: spans-lost.",
          unit: "short",
          queries: [
            [
              `sum by (service, outcome) (rate(telemetry_spans_total{${serviceScope}}[$__rate_interval]))`,
              "{{service}} {{outcome}}",
            ],
          ],
        }),
        lines({
          title: "Spans that wait",
          description: "Spans in the queues of the exporters.",
          unit: "short",
          queries: [[`sum by (service) (telemetry_span_queue_size{${serviceScope}})`, "{{service}}"]],
        }),
      ],
    },
    {
      title: "Logs",
      panels: [
        lines({
          title: "Lines, by level",
          description: "Lines a second that were written.",
          unit: "short",
          queries: [
            [
              `sum by (service, level) (rate(log_lines_total{${serviceScope}}[$__rate_interval]))`,
              "{{service}} {{level}}",
            ],
          ],
        }),
        lines({
          title: "Lines left out and dropped",
          description: "Left out because they repeat, which is meant so; dropped because nobody reads standard output.",
          unit: "short",
          queries: [
            [
              `sum by (service) (rate(log_lines_left_out_total{${serviceScope}}[$__rate_interval]))`,
              "{{service}} left out",
            ],
            [
              `sum by (service) (rate(log_lines_dropped_total{${serviceScope}}[$__rate_interval]))`,
              "{{service}} dropped",
            ],
          ],
        }),
        lines({
          title: "Lines that wait",
          description: "Bytes that standard output has not taken. Runbook: log-lagging.",
          unit: "bytes",
          bad: 1_048_576,
          queries: [[`max by (service) (log_lag_bytes{${serviceScope}})`, "{{service}}"]],
        }),
        lines({
          title: "Audit events",
          description: "Effects on money, stock and orders a second, by action.",
          unit: "short",
          queries: [
            [
              `sum by (service, action) (rate(audit_events_total{${serviceScope}}[$__rate_interval]))`,
              "{{service}} {{action}}",
            ],
          ],
        }),
      ],
    },
    {
      title: "Relays and Prometheus",
      panels: [
        lines({
          title: "Time since a relay last succeeded",
          description: "Runbook: relay-stalled.",
          unit: "s",
          bad: 300,
          queries: [
            [
              `time() - max by (service, relay) (relay_last_success_timestamp_seconds{${serviceScope}})`,
              "{{service}} {{relay}}",
            ],
          ],
        }),
        lines({
          title: "Runs of relays, by outcome",
          description: "Runs a second.",
          unit: "short",
          queries: [
            [
              `sum by (service, relay, outcome) (rate(relay_runs_total{${serviceScope}}[$__rate_interval]))`,
              "{{service}} {{relay}} {{outcome}}",
            ],
          ],
        }),
        lines({
          title: "Scrapes take",
          description: "How long a process needs to answer Prometheus.",
          unit: "s",
          queries: [[`scrape_duration_seconds{${serviceScope}}`, "{{service}} {{instance}}"]],
        }),
        lines({
          title: "Series of a process",
          description: "Samples of one scrape. 20,000 are taken at most; a target that has more counts as down.",
          unit: "short",
          bad: 15_000,
          queries: [[`scrape_samples_scraped{${scope}, service=~"$service"}`, "{{service}} {{instance}}"]],
        }),
      ],
    },
  ],
});
