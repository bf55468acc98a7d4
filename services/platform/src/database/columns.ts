// The lists of columns in our statements come from the type of the row, so that a column that is forgotten, or that is
// there no more, does not compile.

/** What a column of a row is read as: an SQL expression, or `true` for the column that bears the row's own name for it. */
export type Selected<Row> = { readonly [Name in keyof Row & string]-?: true | string };

/** The SQL type of each column that a row is written with. */
export type Written<Row> = { readonly [Name in keyof Row & string]-?: string };

/** `orderId` as `order_id`. */
export function columnName(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/**
 * The SELECT list of a row: `s.shipment_id as "shipmentId", s.status`.
 *
 * @param columns each key of the row, with `true` for the column of its name (`shipmentId` is `shipment_id`), or with the
 * expression that it is read by
 * @param table the alias that the columns are taken from; none when left out
 */
export function selectList<Row extends object>(columns: Selected<Row>, table = ""): string {
  const from = table === "" ? "" : `${table}.`;
  return Object.entries<true | string>(columns)
    .map(([name, given]) => {
      const column = columnName(name);
      if (given !== true) return `${given} as "${name}"`;
      return column === name ? `${from}${column}` : `${from}${column} as "${name}"`;
    })
    .join(", ");
}

/** The lists of columns of a statement that writes rows which travel as one JSON text. */
export interface WrittenColumns {
  /** `order_id, status`: what is inserted, or selected from the rows as they came. */
  readonly names: string;
  /** `order_id uuid, status text`: the columns of `json_to_recordset`. */
  readonly typed: string;
  /** `order_id = c.order_id, status = c.status`: what an update sets from the rows of that alias. */
  assigned(from: string): string;
}

/**
 * The lists of columns of rows that are written.
 *
 * @param types each key of the row with its SQL type; the key is the column's name, in camel case or not
 */
export function writtenColumns<Row extends object>(types: Written<Row>): WrittenColumns {
  const entries = Object.entries<string>(types).map(([name, type]) => [columnName(name), type] as const);
  return {
    names: entries.map(([name]) => name).join(", "),
    typed: entries.map(([name, type]) => `${name} ${type}`).join(", "),
    assigned: (from) => entries.map(([name]) => `${name} = ${from}.${name}`).join(", "),
  };
}

/** The column's name of a key, as {@link columnName} writes it. */
type ColumnName<Key extends string> = Key extends `${infer First}${infer Rest}`
  ? `${First extends Lowercase<First> ? First : `_${Lowercase<First>}`}${ColumnName<Rest>}`
  : Key;

/** A row by the names of its columns, as JSON has to bear them: `{ orderId: string }` is `{ order_id: string }`. */
export type ColumnsOf<Row> = { readonly [Key in keyof Row & string as ColumnName<Key>]: Row[Key] };

/** A row with its 64-bit integers as text: JSON has none. */
export type AsText<Row> = {
  readonly [Key in keyof Row]: [Extract<Row[Key], bigint>] extends [never]
    ? Row[Key]
    : Exclude<Row[Key], bigint> | string;
};

/** What a statement that writes rows from one array for each column is made of. */
export interface ArrayColumns<Row> {
  /** `order_id, expire_time`: what is inserted, or what `unnest` is called to give. */
  readonly names: string;
  /** `$2::uuid[], $3::timestamptz[]`: the arguments of `unnest`. */
  readonly arrays: string;
  /** The number of the first parameter behind them. */
  readonly next: number;
  /** The parameters: the column of each of these rows. */
  values(rows: readonly Row[]): unknown[];
}

/** Types whose values need no quotes in an array. Each element of any other is searched for what must be escaped. */
const plainTypes: ReadonlySet<string> = new Set(["bigint", "int", "timestamptz", "uuid"]);

/**
 * The columns of rows that are written from arrays, which the server reads faster than one JSON text where a statement
 * writes hundreds of rows.
 *
 * @param types each key of the row with its SQL type; the key is the column's name, in camel case or not
 * @param first the number of their first parameter
 */
export function arrayColumns<Row extends object>(types: Written<Row>, first: number): ArrayColumns<Row> {
  const entries = Object.entries<string>(types) as [keyof Row & string, string][];
  return {
    names: entries.map(([name]) => columnName(name)).join(", "),
    arrays: entries.map(([, type], index) => `$${first + index}::${type}[]`).join(", "),
    next: first + entries.length,
    values: (rows) =>
      entries.map(([name, type]) =>
        toArray(
          type,
          rows.map((row) => row[name]),
        ),
      ),
  };
}

function toArray(type: string, values: readonly unknown[]): unknown {
  if (type === "jsonb") return values.map((value) => (value === null ? null : JSON.stringify(value)));
  if (!plainTypes.has(type)) return values;
  return `{${values.map((value) => (value instanceof Date ? value.toISOString() : (value ?? "null"))).join(",")}}`;
}
