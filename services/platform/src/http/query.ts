import { type FieldViolation, toldText } from "#platform/bad-request.ts";

/** What the query of a call by GET may say: Connect's protocol has no other parameters. */
const parameters = ["message", "encoding", "base64", "compression", "connect"];

/**
 * What is wrong with the query of a call by GET. A parameter that is not of the protocol would be overlooked, and a list that was to be
 * of one customer would be of all.
 */
export function problemOfQuery(url: string): FieldViolation | undefined {
  const query = new URL(url, "http://localhost").searchParams;
  const given = [...query.keys()];
  const strange = given.find((name) => !parameters.includes(name));
  if (strange !== undefined) {
    const description = `is no parameter of a query, which has ${parameters.join(", ")}; fields of the request stand in message`;
    return { field: toldText(strange), description, reason: "unknown_parameter" };
  }
  const twice = given.find((name, index) => given.indexOf(name) !== index);
  if (twice !== undefined) return { field: twice, description: "is said twice", reason: "repeated_parameter" };
  if (query.has("message")) return undefined;
  return { field: "message", description: "is missing: the request, as JSON with encoding=json", reason: "required" };
}
