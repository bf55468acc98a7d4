import type { DescMessage, DescMethod, DescService, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type { ConnectRouter, HandlerContext, ServiceImpl } from "@connectrpc/connect";

/** What a method's implementation looks like when its types are not known: one of four shapes, by `method.methodKind`. */
export type AnyMethod = (
  request: MessageShape<DescMessage> & AsyncIterable<MessageShape<DescMessage>>,
  context: HandlerContext,
) => MaybePromise<MessageInitShape<DescMessage>> & AsyncIterable<MessageInitShape<DescMessage>>;

type MaybePromise<T> = T | Promise<T>;

/** A service of the API with its implementation; made by {@link register}. */
export interface ServiceRegistration {
  readonly service: DescService;
  /** Adds the service to a router of Connect. */
  readonly route: (router: ConnectRouter) => void;
  /** The implementation of a method, or undefined when there is none. */
  readonly find: (method: DescMethod) => AnyMethod | undefined;
}

/** Binds an implementation to its service. A method that is missing answers UNIMPLEMENTED. */
export function register<T extends DescService>(
  service: T,
  implementation: Partial<ServiceImpl<T>>,
): ServiceRegistration {
  return {
    service,
    route: (router) => {
      router.service(service, implementation);
    },
    find: (method) => {
      const found: unknown = Reflect.get(implementation, method.localName);
      return typeof found === "function" ? (found.bind(implementation) as AnyMethod) : undefined;
    },
  };
}
