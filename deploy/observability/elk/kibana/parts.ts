/** The id of the data view of log lines. */
export const viewId = "ordermesh-logs";

/** The id of the data view of audit events. */
export const auditViewId = "ordermesh-audit";

/** From one saved object to another: `name` is what the attributes call it. */
export interface Reference {
  readonly id: string;
  readonly type: string;
  readonly name: string;
}

/** An object as Kibana exports and imports it. */
export interface SavedObject {
  readonly id: string;
  readonly type: "index-pattern" | "search" | "visualization" | "dashboard";
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly references: readonly Reference[];
}

const viewName = "kibanaSavedObjectMeta.searchSourceJSON.index";
const viewReference: Reference = { id: viewId, type: "index-pattern", name: viewName };
const auditReference: Reference = { ...viewReference, id: auditViewId };

function searchSource(query: string): { searchSourceJSON: string } {
  const source = { query: { query, language: "kuery" }, filter: [], indexRefName: viewName };
  return { searchSourceJSON: JSON.stringify(source) };
}

/** A search that people open in Discover. */
export function savedSearch(search: {
  id: string;
  title: string;
  description: string;
  columns: readonly string[];
  query: string;
  oldestFirst?: boolean;
  /** In the audit events instead of the log lines. */
  inAudit?: boolean;
}): SavedObject {
  const { id, title, description, columns, query, oldestFirst, inAudit } = search;
  const sort = [["@timestamp", oldestFirst ? "asc" : "desc"]];
  return {
    id,
    type: "search",
    attributes: { title, description, columns, sort, kibanaSavedObjectMeta: searchSource(query) },
    references: [inAudit ? auditReference : viewReference],
  };
}

/** One aggregation of a chart: what is counted (`metric`) or by what it is divided. */
export interface Aggregation {
  readonly id: string;
  readonly type: string;
  readonly schema: "metric" | "segment" | "group" | "bucket";
  readonly params: Readonly<Record<string, unknown>>;
}

/** A chart or a table. */
export function visualization(chart: {
  id: string;
  title: string;
  type: "histogram" | "line" | "table";
  aggregations: readonly Aggregation[];
  query?: string;
}): SavedObject {
  const { id, title, type, aggregations, query = "" } = chart;
  const aggs = aggregations.map((aggregation) => ({ enabled: true, ...aggregation }));
  const params = type === "table" ? { perPage: 10, showPartialRows: false } : { ...axes(type), type };
  return {
    id,
    type: "visualization",
    attributes: {
      title,
      visState: JSON.stringify({ title, type, aggs, params }),
      uiStateJSON: "{}",
      kibanaSavedObjectMeta: searchSource(query),
    },
    references: [viewReference],
  };
}

/** A chart's axes: time below, the one number on the left. */
function axes(type: "histogram" | "line") {
  const mode = type === "histogram" ? "stacked" : "normal";
  const axis = { show: true, labels: { show: true, truncate: 100 }, title: {} };
  return {
    addLegend: true,
    addTooltip: true,
    legendPosition: "right",
    categoryAxes: [{ ...axis, id: "CategoryAxis-1", type: "category", position: "bottom", scale: { type: "linear" } }],
    valueAxes: [
      {
        ...axis,
        id: "ValueAxis-1",
        name: "LeftAxis-1",
        type: "value",
        position: "left",
        scale: { type: "linear", mode: "normal" },
      },
    ],
    seriesParams: [
      { show: true, type, mode, data: { id: "1", label: "" }, valueAxis: "ValueAxis-1", showCircles: false },
    ],
  };
}

/** Where a panel is: Kibana's grid has 48 columns. */
export interface Place {
  readonly x: number;
  readonly y: number;
  readonly w: number;
  readonly h: number;
}

/** A panel of a dashboard. */
export interface Panel {
  readonly target: { readonly id: string; readonly type: string };
  readonly state: { readonly type: string; readonly gridData: Place; readonly embeddableConfig: object };
}

/** Shows a chart or a search on a dashboard. */
export function panel(object: SavedObject | undefined, gridData: Place): Panel {
  if (!object) throw new Error("a panel shows something that is there");
  const { id, type } = object;
  return { target: { id, type }, state: { type, gridData, embeddableConfig: {} } };
}
