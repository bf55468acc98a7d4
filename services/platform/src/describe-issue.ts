import type { z } from "zod";

/** What is wrong with a text, where its rule does not say it: in words of whoever sets variables, and without the text. */
export function describeIssue(issue: z.core.$ZodRawIssue): string | undefined {
  const unit = issue.origin === "string" ? " characters" : "";
  switch (issue.code) {
    case "invalid_type":
      return issue.expected === "int" ? "must be a whole number" : `must be a ${issue.expected}`;
    case "too_small":
      return `must be at least ${issue.minimum}${unit}`;
    case "too_big":
      return `must be at most ${issue.maximum}${unit}`;
    case "invalid_value":
      return `must be one of ${issue.values.join(", ")}`;
    case "invalid_format":
      return issue.format === "url"
        ? "must be a URL, for example http://127.0.0.1:8086"
        : `must match ${issue.pattern}`;
    default:
      return undefined;
  }
}
