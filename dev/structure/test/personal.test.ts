// That the contract says of each field that may be personal data whether it is, and that logs keep out what is.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create, createFileRegistry, type DescField, type DescMessage } from "@bufbuild/protobuf";
import { FieldDescriptorProto_Type, FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { AddressSchema } from "#gen/shop/type/v1/address_pb.js";
import { PersonalData } from "#gen/shop/type/v1/personal_pb.js";
import { redact } from "#platform/redact/redact.ts";
import { root } from "../../../deploy/command/checkout.ts";
import { contractServices, messagesOf } from "../contract.ts";
import { personalFaults, personalOf } from "../personal.ts";

const services = await contractServices(root);
const messages = messagesOf(services.filter(({ typeName }) => typeName.startsWith("shop.")));
const fields = messages.flatMap((message) => message.fields);

function messageOf(...names: readonly string[]): DescMessage {
  const file = create(FileDescriptorProtoSchema, {
    name: "test.proto",
    syntax: "proto3",
    package: "test",
    messageType: [
      {
        name: "Parcel",
        field: names.map((name, index) => ({ name, number: index + 1, type: FieldDescriptorProto_Type.STRING })),
      },
    ],
  });
  const message = createFileRegistry(file, () => undefined).getMessage("test.Parcel");
  assert.ok(message);
  return message;
}

function shown(field: DescField): string {
  return `${field.parent.name}.${field.name}`;
}

describe("personal data in the contract", () => {
  it("is decided for each field that may be some", () => {
    assert.ok(messages.length > 150, `${messages.length} messages`);
    assert.deepEqual(messages.flatMap(personalFaults), []);
  });

  for (const name of ["nick_name", "billing_email", "street", "birth_date", "city", "contact", "note"]) {
    it(`cannot come in as ${name} without a decision`, () => {
      const faults = personalFaults(messageOf("order_id", name));
      assert.equal(faults.length, 1);
      assert.match(faults[0] ?? "", new RegExp(`^test\\.Parcel\\.${name} may say something of a person`));
    });
  }

  it("is not looked for in what merely contains such a word", () => {
    assert.deepEqual(personalFaults(messageOf("order_id", "capacity", "filename", "notes_count")), []);
  });

  it("is who somebody is, and where they live", () => {
    const of = (kind: PersonalData) => fields.filter((field) => personalOf(field) === kind).map(shown);
    const persons = of(PersonalData.PERSON);
    for (const name of [
      "Customer.phone",
      "OrderContact.email",
      "Address.lines",
      "Person.email",
      "LoginRequest.email",
    ]) {
      assert.ok(persons.includes(name), name);
    }
    assert.deepEqual(of(PersonalData.NONE).sort(), [
      ...["ApiKey.name", "CreateApiKeyRequest.name", "CreateEndpointRequest.name", "SagaStep.name"],
      ...["WebhookDelivery.subject", "WebhookEndpoint.name"],
    ]);
    assert.ok(of(PersonalData.FREE_TEXT).includes("CancelOrderRequest.reason"));
  });
});

describe("personal data in a log line", () => {
  const value = "Ada";

  /** Lines are of orders, too: an address is kept out as a whole. */
  const personal = fields.filter(
    (field) => personalOf(field) === PersonalData.PERSON && shown(field) !== "Address.lines",
  );
  const addresses = fields.filter(({ message }) => message?.typeName === AddressSchema.typeName);

  it("is kept out by the names of its fields", () => {
    assert.ok(personal.length >= 20 && addresses.length >= 5);
    for (const { name, localName } of [...personal, ...addresses]) {
      for (const written of [name, localName]) {
        const line = JSON.stringify(redact({ [written]: value, request: { [written]: [value] } }));
        assert.ok(!line.includes(value), `${written}: services/platform/src/redact/redact.ts does not know it`);
      }
    }
  });
});
