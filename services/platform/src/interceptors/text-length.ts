import { type DescField, getExtension, getOption, hasExtension } from "@bufbuild/protobuf";
import { field as rulesOf } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import { characters } from "#gen/shop/type/v1/rules_pb.js";

/** As many bytes of UTF-8 a text may have for each of its characters; the rule itself refuses more. */
const bytesForEach = 32;
const segmenter = new Intl.Segmenter("und", { granularity: "grapheme" });
const limits = new Map<DescField, number>();

/** How many characters a text in this field may have, as a person counts them; Infinity when nothing is said. */
function limitOf(field: DescField): number {
  const known = limits.get(field);
  if (known !== undefined) return known;
  const { type } = getOption(field, rulesOf);
  const rules = type.case === "repeated" ? type.value.items?.type : type;
  const said = rules?.case === "string" && hasExtension(rules.value, characters);
  const limit = said ? getExtension(rules.value, characters) : Number.POSITIVE_INFINITY;
  limits.set(field, limit);
  return limit;
}

/** The limit that a text exceeds; undefined when it does not. One with too many bytes is refused by the rule, and not counted. */
export function exceededLimit(field: DescField, text: string): number | undefined {
  const limit = limitOf(field);
  // A character has at least one unit.
  if (text.length <= limit || Buffer.byteLength(text) > limit * bytesForEach) return undefined;
  let count = 0;
  for (const _ of segmenter.segment(text)) {
    count += 1;
    if (count > limit) return limit;
  }
  return undefined;
}
