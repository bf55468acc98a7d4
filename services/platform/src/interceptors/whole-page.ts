import { type DescField, type DescMethod, type Message, toBinary, toJsonString } from "@bufbuild/protobuf";
import type { Interceptor, UnaryRequest } from "@connectrpc/connect";
import { isJson } from "./known-call.ts";

/** The largest answer that the clients of gRPC take when nobody has told them otherwise, in bytes. */
export const usualLimitBytes = 4 * 1024 * 1024;
/** How much of the limit is aimed at: items differ. */
const aim = 0.9;

/** The items of a list's answer; undefined when the method lists nothing a page at a time. */
function itemsOf({ input, output }: DescMethod): DescField | undefined {
  const paged = input.fields.some(({ name }) => name === "page_size");
  const further = output.fields.some(({ name }) => name === "next_page_token");
  return paged && further ? output.fields.find(({ fieldKind }) => fieldKind === "list") : undefined;
}

function sizeOf(request: UnaryRequest, message: Message): number {
  const { output } = request.method;
  if (!isJson(request)) return toBinary(output, message).length;
  return Buffer.byteLength(toJsonString(output, message));
}

/**
 * Answers fewer items when as many as were asked for are larger than a message may be: their number is a wish, and the token
 * of the next page says where they go on. An item that is too large alone stays an error.
 *
 * @param maxMessageBytes the largest message that is sent
 */
export function wholePageInterceptor(maxMessageBytes: number): Interceptor {
  const most = Math.min(maxMessageBytes, usualLimitBytes);
  const lists = new Map<DescMethod, DescField | undefined>();
  const listOf = (method: DescMethod): DescField | undefined => {
    if (!lists.has(method)) lists.set(method, itemsOf(method));
    return lists.get(method);
  };
  return (next) => async (request) => {
    const field = request.stream ? undefined : listOf(request.method);
    let response = await next(request);
    if (!field || request.stream || response.stream) return response;
    for (let round = 1; ; round += 1) {
      const { length } = (response.message as unknown as Record<string, unknown[]>)[field.localName] ?? [];
      const size = sizeOf(request, response.message);
      if (size <= most || length <= 1) return response;
      // What is far from the others in size must not lead to many rounds.
      const fewer = Math.floor((length * aim * most) / size / (round > 1 ? 2 : 1));
      (request.message as Message & { pageSize: number }).pageSize = Math.max(1, fewer);
      response = await next(request);
      if (response.stream) return response;
    }
  };
}
