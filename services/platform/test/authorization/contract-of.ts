import {
  clone,
  create,
  createFileRegistry,
  createRegistry,
  type DescService,
  type MessageInitShape,
  setExtension,
} from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema, MethodOptionsSchema } from "@bufbuild/protobuf/wkt";
import { file_shop_orders_v1_order_service, OrderService } from "#gen/shop/orders/v1/order_service_pb.js";
import { AccessSchema, access } from "#gen/shop/type/v1/access_pb.js";

/** What a contract says of who may call a method; undefined says nothing. */
export type Said = MessageInitShape<typeof AccessSchema> | undefined;

/** The service of orders, as a contract has it that says other things of some of its methods. */
export function contractOf(said: Readonly<Record<string, Said>>): DescService {
  const file = clone(FileDescriptorProtoSchema, file_shop_orders_v1_order_service.proto);
  for (const method of file.service[0]?.method ?? []) {
    if (!(method.name in said)) continue;
    const rule = said[method.name];
    method.options = create(MethodOptionsSchema);
    if (rule) setExtension(method.options, access, create(AccessSchema, rule));
  }
  const known = createRegistry(...file_shop_orders_v1_order_service.dependencies);
  const dependencies = new Map([...known].map(({ file }) => [file.proto.name, file]));
  for (const dependency of file_shop_orders_v1_order_service.dependencies)
    dependencies.set(dependency.proto.name, dependency);
  const service = createFileRegistry(file, (name) => dependencies.get(name)).getService(OrderService.typeName);
  if (!service) throw new Error("the contract has no service of orders");
  return service;
}
