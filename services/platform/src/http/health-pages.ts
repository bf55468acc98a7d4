import type { ServerResponse } from "node:http";
import type { Registry } from "prom-client";
import type { Logger } from "#platform/log/logger.ts";
import { openMetrics, openMetricsType } from "#platform/metrics/open-metrics.ts";
import type { Readiness } from "./readiness.ts";
import type { Handler } from "./rpc.ts";

/** Who answers. */
export interface HealthOptions {
  readonly readiness: Readiness;
  readonly metrics: Registry;
  readonly logger: Logger;
}

function sendText(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { "content-type": "text/plain; charset=utf-8" }).end(text);
}

async function plainText(metrics: Registry): Promise<{ contentType: string; text: string }> {
  return { contentType: metrics.contentType, text: await metrics.metrics() };
}

/** What those who look after a process ask it, by path: whether it lives, whether calls should be sent to it, and its metrics. */
export function healthPages({ readiness, metrics, logger }: HealthOptions): ReadonlyMap<string, Handler> {
  const ready: Handler = (_, response) => {
    if (readiness.problem === undefined) sendText(response, 200, "ok\n");
    else sendText(response, 503, `${readiness.problem}\n`);
  };
  const scrape: Handler = (request, response) => {
    const open = request.headers.accept?.includes(openMetricsType);
    const answer = open ? openMetrics(metrics) : plainText(metrics);
    answer.then(
      ({ contentType, text }) => response.writeHead(200, { "content-type": contentType }).end(text),
      (error: unknown) => {
        logger.error("the metrics could not be read", { err: error });
        sendText(response, 500, "internal error\n");
      },
    );
  };
  return new Map<string, Handler>([
    ["/healthz", (_, response) => sendText(response, 200, "ok\n")],
    ["/readyz", ready],
    ["/metrics", scrape],
  ]);
}
