// Writes buf/validate/validate.proto into .cache/proto, so that buf can lint, compare and generate without a schema
// registry. The rules' text is in no npm package, but its descriptor is: @bufbuild/protovalidate ships it compiled.
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { DescriptorProto, EnumDescriptorProto, FieldDescriptorProto } from "@bufbuild/protobuf/wkt";
import {
  type FileDescriptorProto,
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
} from "@bufbuild/protobuf/wkt";
import { file_buf_validate_validate } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";

const target = join(import.meta.dirname, "../../.cache/proto/validate/buf/validate/validate.proto");

function typeOf(field: FieldDescriptorProto): string {
  return field.typeName || Type[field.type].toLowerCase();
}

function printField(field: FieldDescriptorProto, parent: DescriptorProto | undefined, inOneof = false): string {
  const entry = parent?.nestedType.find(
    (type) => type.options?.mapEntry && field.typeName.endsWith(`.${parent.name}.${type.name}`),
  );
  const [key, value] = entry?.field ?? [];
  if (key && value) return `map<${typeOf(key)}, ${typeOf(value)}> ${field.name} = ${field.number};`;
  const label = inOneof ? "" : `${Label[field.label].toLowerCase()} `;
  return `${label}${typeOf(field)} ${field.name} = ${field.number};`;
}

function printEnum(type: EnumDescriptorProto): string[] {
  return [`enum ${type.name} {`, ...type.value.map((value) => `${value.name} = ${value.number};`), "}"];
}

function printExtensions(extensions: FieldDescriptorProto[]): string[] {
  return extensions.flatMap((extension) => [`extend ${extension.extendee} {`, printField(extension, undefined), "}"]);
}

function printMessage(type: DescriptorProto): string[] {
  const oneofs = type.oneofDecl.map((oneof, index) => ({
    name: oneof.name,
    fields: type.field.filter((field) => field.oneofIndex === index && Object.hasOwn(field, "oneofIndex")),
  }));
  const loose = type.field.filter((field) => !oneofs.some((oneof) => oneof.fields.includes(field)));
  return [
    `message ${type.name} {`,
    ...type.enumType.flatMap(printEnum),
    ...type.nestedType.filter((nested) => !nested.options?.mapEntry).flatMap(printMessage),
    ...loose.map((field) => printField(field, type)),
    ...oneofs.flatMap((oneof) => [
      `oneof ${oneof.name} {`,
      ...oneof.fields.map((field) => printField(field, type, true)),
      "}",
    ]),
    // The descriptor's end is exclusive, the text's inclusive.
    ...type.extensionRange.map(
      (range) => `extensions ${range.start} to ${range.end - 1 >= 536870911 ? "max" : range.end - 1};`,
    ),
    ...printExtensions(type.extension),
    "}",
  ];
}

function print(file: FileDescriptorProto): string {
  return [
    'syntax = "proto2";',
    `package ${file.package};`,
    ...file.dependency.map((path) => `import "${path}";`),
    ...file.enumType.flatMap(printEnum),
    ...file.messageType.flatMap(printMessage),
    ...printExtensions(file.extension),
    "",
  ].join("\n");
}

mkdirSync(dirname(target), { recursive: true });
writeFileSync(target, print(file_buf_validate_validate.proto));
