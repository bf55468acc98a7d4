import { type DescEnum, type DescExtension, type DescField, type FileRegistry, getOption } from "@bufbuild/protobuf";

/** `shop/type/v1/personal.proto`, read from the protos that are printed as well. */
export interface Personal {
  readonly option: DescExtension;
  readonly kinds: DescEnum;
}

/** @throws Error when the protos have no such option */
export function personalIn(registry: FileRegistry): Personal {
  const option = registry.getExtension("shop.type.v1.personal");
  const kinds = registry.getEnum("shop.type.v1.PersonalData");
  if (!option || !kinds) throw new Error("shop/type/v1/personal.proto does not say what is personal");
  return { option, kinds };
}

/** What a field says about a person, for people: "personal data", "free text"; empty when it says nothing. */
export function personalWords(field: DescField, { option, kinds }: Personal): string {
  const kind = kinds.value[Number(getOption(field, option))]?.localName;
  if (kind === "PERSON") return "personal data";
  return kind === "FREE_TEXT" ? "free text" : "";
}
