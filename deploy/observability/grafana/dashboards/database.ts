import { dashboard, lines, scope, serviceScope } from "./parts.ts";

/** PostgreSQL, from the services' side and from its own. */
export const database = dashboard({
  uid: "ordermesh-database",
  title: "Ordermesh · Database",
  description:
    "Statements and pools as the services see them; connections, transactions and tables as PostgreSQL does.",
  rows: [
    {
      title: "As the services see it",
      panels: [
        lines({
          title: "Statements, 99th percentile",
          description: "By name. The points are single statements; a click leads to their traces.",
          unit: "s",
          exemplars: true,
          queries: [
            [
              `histogram_quantile(0.99, sum by (service, statement, le) (rate(database_statement_duration_seconds_bucket{${serviceScope}}[$__rate_interval])))`,
              "{{service}} {{statement}}",
            ],
          ],
        }),
        lines({
          title: "Statements a second",
          description: "By name and outcome.",
          unit: "short",
          queries: [
            [
              `sum by (service, statement, outcome) (rate(database_statement_duration_seconds_count{${serviceScope}}[$__rate_interval]))`,
              "{{service}} {{statement}} {{outcome}}",
            ],
          ],
        }),
        lines({
          title: "Connections in use",
          description: "Share of the pool that is busy. At 100 % statements wait. Runbook: database-pool-exhausted.",
          unit: "percentunit",
          bad: 0.9,
          queries: [[`namespace_service:database_pool_connections:busy_ratio{${serviceScope}}`, "{{service}}"]],
        }),
        lines({
          title: "Statements that wait for a connection",
          description: "Should be 0.",
          unit: "short",
          bad: 1,
          queries: [[`sum by (service) (database_pool_waiting{${serviceScope}})`, "{{service}}"]],
        }),
        lines({
          title: "Entries of one list",
          description: "How many calls share a statement, on average, by batcher. More under load.",
          unit: "short",
          queries: [
            [
              `sum by (service, batcher) (rate(batcher_list_entries_sum{${serviceScope}}[$__rate_interval])) / sum by (service, batcher) (rate(batcher_list_entries_count{${serviceScope}}[$__rate_interval]))`,
              "{{service}} {{batcher}}",
            ],
          ],
        }),
        lines({
          title: "Wait for a list, 99th percentile",
          description: "How long a call waits until its statement begins.",
          unit: "s",
          queries: [
            [
              `histogram_quantile(0.99, sum by (service, batcher, le) (rate(batcher_wait_seconds_bucket{${serviceScope}}[$__rate_interval])))`,
              "{{service}} {{batcher}}",
            ],
          ],
        }),
      ],
    },
    {
      title: "As PostgreSQL sees it",
      panels: [
        lines({
          title: "Connections, by database and state",
          description: "All of them together are limited by max_connections. Runbook: database-connections-high.",
          unit: "short",
          queries: [[`sum by (datname, state) (pg_activity_connections{${scope}})`, "{{datname}} {{state}}"]],
        }),
        lines({
          title: "Connections in use",
          description: "Share of max_connections.",
          unit: "percentunit",
          bad: 0.8,
          queries: [[`namespace:pg_connections:used_ratio{${scope}}`, "{{namespace}}"]],
        }),
        lines({
          title: "Oldest open transaction",
          description: "While it is open, vacuum and the audit stream wait. Runbook: transaction-too-long.",
          unit: "s",
          bad: 900,
          queries: [[`max by (datname) (pg_activity_oldest_transaction_seconds{${scope}})`, "{{datname}}"]],
        }),
        lines({
          title: "Sessions that wait for a lock",
          description: "A few for a moment are normal.",
          unit: "short",
          queries: [[`sum by (datname) (pg_locks_waiting_sessions{${scope}})`, "{{datname}}"]],
        }),
        lines({
          title: "Transactions a second",
          description: "Committed and rolled back.",
          unit: "short",
          queries: [
            [`rate(pg_database_commits_total{${scope}}[$__rate_interval])`, "{{datname}} committed"],
            [`rate(pg_database_rollbacks_total{${scope}}[$__rate_interval])`, "{{datname}} rolled back"],
          ],
        }),
        lines({
          title: "Read from memory",
          description: "Share of blocks that PostgreSQL found in its own memory. Below 99 % it wants more of it.",
          unit: "percentunit",
          queries: [
            [
              `rate(pg_database_blocks_hit_total{${scope}}[$__rate_interval]) / (rate(pg_database_blocks_hit_total{${scope}}[$__rate_interval]) + rate(pg_database_blocks_read_total{${scope}}[$__rate_interval]))`,
              "{{datname}}",
            ],
          ],
        }),
        lines({
          title: "Dead rows, by table",
          description: "What vacuum has yet to remove.",
          unit: "short",
          queries: [[`topk(10, pg_table_dead_rows{${scope}})`, "{{datname}}.{{relname}}"]],
        }),
        lines({
          title: "Size",
          description: "On disk.",
          unit: "bytes",
          queries: [[`pg_database_size_bytes{${scope}}`, "{{datname}}"]],
        }),
      ],
    },
  ],
});
