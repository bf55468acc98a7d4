import { stackVersion } from "../version.ts";
import { type Aggregation, auditViewId, panel, type SavedObject, savedSearch, viewId, visualization } from "./parts.ts";

const traceLink = {
  id: "url",
  params: { urlTemplate: "{{JAEGER_URL}}/trace/{{value}}", labelTemplate: "{{value}}", openLinkInCurrentTab: false },
};

/** The audit log of all services. */
const auditView: SavedObject = {
  id: auditViewId,
  type: "index-pattern",
  attributes: {
    title: "logs-ordermesh.audit-*",
    name: "Ordermesh audit log",
    timeFieldName: "@timestamp",
    fieldFormatMap: JSON.stringify({ "trace.id": traceLink }),
  },
  references: [],
};

/** What Kibana shows of the lines: every data stream, with a trace id that leads to Jaeger. */
const view: SavedObject = {
  id: viewId,
  type: "index-pattern",
  attributes: {
    title: "logs-ordermesh-*",
    name: "Ordermesh logs",
    timeFieldName: "@timestamp",
    fieldFormatMap: JSON.stringify({
      "trace.id": traceLink,
      "event.duration": {
        id: "duration",
        params: {
          inputFormat: "nanoseconds",
          outputFormat: "humanizePrecise",
          outputPrecision: 1,
          useShortSuffix: true,
        },
      },
    }),
    runtimeFieldMap: JSON.stringify({
      "log.lag": {
        type: "long",
        script: {
          source:
            "if (doc['event.ingested'].size() > 0) emit(doc['event.ingested'].value.toInstant().toEpochMilli() - doc['@timestamp'].value.toInstant().toEpochMilli())",
        },
      },
    }),
  },
  references: [],
};

const searches = [
  savedSearch({
    id: "ordermesh-order",
    title: "One order",
    description: "Every line of one order, oldest first: put its id into the query.",
    columns: ["service.name", "log.level", "message", "saga.step", "error.message", "trace.id"],
    query: 'order.id : "put the order id here"',
    oldestFirst: true,
  }),
  savedSearch({
    id: "ordermesh-errors",
    title: "Errors and warnings",
    description: "What the services complain about, newest first.",
    columns: ["service.name", "log.level", "message", "error.type", "error.message", "order.id", "trace.id"],
    query: "log.level : (error or warn)",
  }),
];

const audit = savedSearch({
  id: "ordermesh-audit-of-order",
  title: "Who did what to one order",
  description: "Every effect on one order, its money and its stock, oldest first: put the order's id into the query.",
  columns: ["service.name", "event.action", "audit.subject", "audit.details", "audit.actor", "request.id", "trace.id"],
  query: 'order.id : "put the order id here"',
  oldestFirst: true,
  inAudit: true,
});

const count: Aggregation = { id: "1", type: "count", schema: "metric", params: {} };

const charts = [
  visualization({
    id: "ordermesh-lines-by-level",
    title: "Lines by level",
    type: "histogram",
    aggregations: [
      count,
      { id: "2", type: "date_histogram", schema: "segment", params: { field: "@timestamp", interval: "auto" } },
      { id: "3", type: "terms", schema: "group", params: { field: "log.level", size: 5, orderBy: "1", order: "desc" } },
    ],
  }),
  visualization({
    id: "ordermesh-errors-by-service",
    title: "Errors by service and kind",
    type: "table",
    query: "log.level : error",
    aggregations: [
      count,
      { id: "2", type: "terms", schema: "bucket", params: { field: "service.name", size: 10, orderBy: "1" } },
      { id: "3", type: "terms", schema: "bucket", params: { field: "error.type", size: 10, orderBy: "1" } },
    ],
  }),
  visualization({
    id: "ordermesh-slow-methods",
    title: "95th percentile of the time of a call",
    type: "table",
    query: "rpc.method : *",
    aggregations: [
      { id: "1", type: "percentiles", schema: "metric", params: { field: "event.duration", percents: [95] } },
      { id: "2", type: "terms", schema: "bucket", params: { field: "rpc.method", size: 20, orderBy: "1.95" } },
    ],
  }),
  visualization({
    id: "ordermesh-log-lag",
    title: "How far the logs are behind, in milliseconds (worst)",
    type: "line",
    aggregations: [
      { id: "1", type: "max", schema: "metric", params: { field: "log.lag" } },
      { id: "2", type: "date_histogram", schema: "segment", params: { field: "@timestamp", interval: "auto" } },
    ],
  }),
  visualization({
    id: "ordermesh-left-out",
    title: "Repeated lines that were left out",
    type: "histogram",
    query: "log.repeated > 0",
    aggregations: [
      { id: "1", type: "sum", schema: "metric", params: { field: "log.repeated" } },
      { id: "2", type: "date_histogram", schema: "segment", params: { field: "@timestamp", interval: "auto" } },
      { id: "3", type: "terms", schema: "group", params: { field: "service.name", size: 10, orderBy: "1" } },
    ],
  }),
];

const panels = [
  panel(charts[0], { x: 0, y: 0, w: 48, h: 10 }),
  panel(charts[1], { x: 0, y: 10, w: 24, h: 14 }),
  panel(charts[2], { x: 24, y: 10, w: 24, h: 14 }),
  panel(charts[3], { x: 0, y: 24, w: 24, h: 10 }),
  panel(charts[4], { x: 24, y: 24, w: 24, h: 10 }),
  panel(searches[1], { x: 0, y: 34, w: 48, h: 18 }),
];

const dashboard: SavedObject = {
  id: "ordermesh-logs",
  type: "dashboard",
  attributes: {
    title: "Ordermesh logs",
    description: "How much the services say, what they complain about, and how far the logs are behind.",
    timeRestore: true,
    timeFrom: "now-1h",
    timeTo: "now",
    refreshInterval: { pause: false, value: 30_000 },
    optionsJSON: JSON.stringify({ useMargins: true, hidePanelTitles: false }),
    panelsJSON: JSON.stringify(
      panels.map(({ state }, index) => ({
        version: stackVersion,
        ...state,
        gridData: { ...state.gridData, i: String(index) },
        panelIndex: String(index),
        panelRefName: `panel_${index}`,
      })),
    ),
    kibanaSavedObjectMeta: {
      searchSourceJSON: JSON.stringify({ query: { query: "", language: "kuery" }, filter: [] }),
    },
  },
  references: panels.map(({ target }, index) => ({ name: `${index}:panel_${index}`, ...target })),
};

/** Everything that Kibana is given, what others refer to first. */
export const savedObjects: readonly SavedObject[] = [view, auditView, ...searches, audit, ...charts, dashboard];

/** The file that Kibana imports: one object on each line. */
export function asLines(objects: readonly SavedObject[]): string {
  return objects.map((object) => `${JSON.stringify(object)}\n`).join("");
}
