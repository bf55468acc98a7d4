// Which fields of the contract say something about a person, and whether each that may do so says it.
import {
  type DescField,
  type DescMessage,
  getExtension,
  getOption,
  hasExtension,
  ScalarType,
} from "@bufbuild/protobuf";
import { field as rulesOf } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import { PersonalData, personal } from "#gen/shop/type/v1/personal_pb.js";
import { characters } from "#gen/shop/type/v1/rules_pb.js";

/** Words that stand in the names of fields which say who somebody is, or where they are reached or live. */
const personalWords =
  /(?:^|_)(?:name|email|mail|phone|mobile|fax|recipient|contact|birth|street|city|town|postal|postcode|zip|latitude|longitude|note|nick|title|tax|vat)(?:_|$)/;

/** What the field says of persons, by its option. */
export function personalOf(field: DescField): PersonalData {
  return getOption(field, personal);
}

function isText(field: DescField): boolean {
  const isString = "scalar" in field && field.scalar === ScalarType.STRING;
  return isString && field.fieldKind !== "map";
}

/** Whether people type into it: such a text is measured in characters as they count them. */
function isTyped(field: DescField): boolean {
  const { type } = getOption(field, rulesOf);
  const rules = type.case === "repeated" ? type.value.items?.type : type;
  return rules?.case === "string" && hasExtension(rules.value, characters) && getExtension(rules.value, characters) > 0;
}

/** What is wrong with what a message says of persons, one sentence a field. */
export function personalFaults(message: DescMessage): string[] {
  const undecided = message.fields.filter(
    (field) =>
      isText(field) &&
      (isTyped(field) || personalWords.test(field.name)) &&
      personalOf(field) === PersonalData.UNSPECIFIED,
  );
  return undecided.map(
    ({ name }) =>
      `${message.typeName}.${name} may say something of a person, and does not say whether: give it the option (shop.type.v1.personal)`,
  );
}
