import { dashboard, figure, lines, scope, serviceScope } from "./parts.ts";

/** Rate, errors and duration of every service. */
export const overview = dashboard({
  uid: "ordermesh-overview",
  title: "Ordermesh · Services",
  description: "Is each service up, how many calls does it get, how many fail, how long do they take?",
  rows: [
    {
      title: "Promises to customers",
      panels: [
        figure({
          title: "Not confirmed within 5 s (1 h)",
          description: "Promised: at most 0.1 % of orders. Runbook: order-confirmation-burns-fast.",
          unit: "percentunit",
          bad: 0.001,
          queries: [[`namespace:orders_unconfirmed:ratio_rate1h{${scope}}`, "{{namespace}}"]],
        }),
        figure({
          title: "Calls failed by our fault (1 h)",
          description: "Promised: at most 0.01 % of calls to orders. Runbook: availability-burns-fast.",
          unit: "percentunit",
          bad: 0.0001,
          queries: [[`namespace:orders_api_faults:ratio_rate1h{${scope}}`, "{{namespace}}"]],
        }),
        figure({
          title: "Alerts that fire",
          description: "Pages and tickets that fire now.",
          unit: "short",
          bad: 1,
          queries: [[`count(ALERTS{alertstate="firing", ${scope}}) or vector(0)`, "firing"]],
        }),
        figure({
          title: "Processes up",
          description: "Processes that answer Prometheus.",
          unit: "short",
          queries: [[`sum(namespace_service:targets_up:count{${serviceScope}})`, "up"]],
        }),
      ],
    },
    {
      title: "Calls",
      panels: [
        lines({
          title: "Rate",
          description: "Calls a second by service and method.",
          unit: "reqps",
          queries: [[`namespace_service_rpc:rpc_server_calls:rate5m{${serviceScope}}`, "{{service}} {{rpc}}"]],
        }),
        lines({
          title: "Failed by our fault",
          description: "Share of calls that ended with a status the caller cannot be blamed for. Watches are left out.",
          unit: "percentunit",
          bad: 0.01,
          queries: [[`namespace_service:rpc_server_faults:ratio_rate10m{${serviceScope}}`, "{{service}}"]],
        }),
        lines({
          title: "Not OK, by status",
          description:
            "Calls a second that did not end with OK. FailedPrecondition and NotFound are answers, not faults.",
          unit: "reqps",
          queries: [
            [
              `sum by (service, code) (namespace_service_rpc_code:rpc_server_calls:rate5m{${serviceScope}, code!="OK"})`,
              "{{service}} {{code}}",
            ],
          ],
        }),
        lines({
          title: "Duration, 99th percentile",
          description: "The points are single calls; a click leads to their traces. Watches are left out.",
          unit: "s",
          bad: 1,
          exemplars: true,
          queries: [
            [
              `histogram_quantile(0.99, sum by (service, rpc, le) (rate(rpc_server_duration_seconds_bucket{${serviceScope}, rpc!~".*/Watch.*"}[$__rate_interval])))`,
              "{{service}} {{rpc}}",
            ],
          ],
        }),
        lines({
          title: "Calls that run",
          description:
            "Calls in flight by class: more are refused than MAX_INFLIGHT (2,000 of callers), MAX_INFLIGHT_SAGA (2,000), MAX_INFLIGHT_OPERATOR (100) and MAX_WAITING (10,000 that wait for something). Of the saga none should be refused. Runbook: saga-calls-refused.",
          unit: "short",
          queries: [
            [`sum by (service, class) (rpc_server_in_flight{${serviceScope}}) > 0`, "{{service}} {{class}}"],
            [
              `sum by (service, class) (rate(rpc_server_refused_total{${serviceScope}}[$__rate_interval])) > 0`,
              "{{service}} {{class}} refused/s",
            ],
          ],
        }),
        lines({
          title: "Calls refused for their callers' limits",
          description:
            "Calls a second that were refused because their caller had called too often, by class and by what the caller is known. Runbook: callers-limited.",
          unit: "reqps",
          queries: [
            [
              `sum by (service, class, by) (rate(rpc_server_limit_decisions_total{${serviceScope}, decision="refused"}[$__rate_interval])) > 0`,
              "{{service}} {{class}} {{by}}",
            ],
          ],
        }),
        lines({
          title: "Calls to others, 99th percentile",
          description: "How long a service waits for another one.",
          unit: "s",
          exemplars: true,
          queries: [
            [
              `histogram_quantile(0.99, sum by (service, rpc, le) (rate(rpc_client_duration_seconds_bucket{${serviceScope}}[$__rate_interval])))`,
              "{{service}} → {{rpc}}",
            ],
          ],
        }),
      ],
    },
    {
      title: "Processes",
      panels: [
        lines({
          title: "Event loop lag, 99th percentile",
          description:
            "How long a task waits for the one core that a process has, with the 50 ms in it between two looks. Runbook: event-loop-blocked.",
          unit: "s",
          bad: 0.25,
          queries: [[`nodejs_eventloop_lag_p99_seconds{${serviceScope}}`, "{{service}} {{instance}}"]],
        }),
        lines({
          title: "CPU",
          description: "Cores in use. A process of Node uses little more than one.",
          unit: "short",
          queries: [[`rate(process_cpu_seconds_total{${serviceScope}}[$__rate_interval])`, "{{service}} {{instance}}"]],
        }),
        lines({
          title: "Memory",
          description: "Resident memory.",
          unit: "bytes",
          queries: [[`process_resident_memory_bytes{${serviceScope}}`, "{{service}} {{instance}}"]],
        }),
        lines({
          title: "Versions",
          description: "Processes by version; two at the same time during a rollout.",
          unit: "short",
          queries: [[`count by (service, version) (build_info{${serviceScope}})`, "{{service}} {{version}}"]],
        }),
      ],
    },
  ],
});
