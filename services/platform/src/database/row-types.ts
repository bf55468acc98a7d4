import pg from "pg";

const int8 = pg.types.builtins.INT8;
/** `int8[]`, which is not among the named ones. */
const int8Array: number = 1016;
const parseStrings: (text: string) => (string | null)[] = pg.types.getTypeParser(int8Array, "text");

/**
 * How columns come out of raw statements: `int8` is a JavaScript `bigint` (money, stock, counts), `timestamptz` a
 * `Date`, `uuid` a string with dashes, `bytea` a `Buffer`; everything else as `pg` has it. MikroORM keeps its own.
 */
export const rowTypes: pg.CustomTypesConfig = {
  getTypeParser(oid: number, format?: "text" | "binary") {
    if (format === "binary") return pg.types.getTypeParser(oid, "binary");
    if (oid === int8) return BigInt;
    if (oid === int8Array) return toBigints;
    return pg.types.getTypeParser(oid, "text");
  },
};

function toBigints(text: string): (bigint | null)[] {
  return parseStrings(text).map((item) => (item === null ? null : BigInt(item)));
}
