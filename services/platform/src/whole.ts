import { create, type DescMessage, type Message, type MessageInitShape, type MessageShape } from "@bufbuild/protobuf";

/** A message's own fields, each of them named; one that may be absent is `undefined`, so that its absence was meant. */
type WholeFields<Shape> = {
  readonly [Field in Exclude<keyof Shape, "$typeName" | "$unknown">]: WholeValue<Shape[Field]>;
};

/** The messages inside a message are whole as well. */
type WholeValue<Value> = Value extends Message
  ? Value | WholeFields<Value>
  : Value extends (infer Element)[]
    ? WholeValue<Element>[]
    : Value extends { readonly case: infer Case extends string; readonly value: infer Chosen }
      ? { readonly case: Case; readonly value: WholeValue<Chosen> }
      : Value;

/** The fields of a message and of all messages in it. */
export type Whole<Desc extends DescMessage> = WholeFields<MessageShape<Desc>>;

/**
 * Makes a message that leaves the process. Where `create` takes any part of one, a field that is forgotten here does not
 * compile: a new field of the contract is found by the compiler wherever the message is made.
 */
export function whole<Desc extends DescMessage>(schema: Desc, fields: Whole<Desc>): MessageShape<Desc> {
  return create(schema, fields as MessageInitShape<Desc>);
}
