import type { Interceptor } from "@connectrpc/connect";
import { toConnectError } from "#platform/errors.ts";
import { followStream } from "./compose.ts";

/** Turns whatever a call throws into what a caller may be told; see {@link toConnectError}. */
export function errorInterceptor(): Interceptor {
  return (next) => async (request) => {
    try {
      const response = await next(request);
      return response.stream ? followStream(response, { mapError: toConnectError }) : response;
    } catch (error) {
      throw toConnectError(error);
    }
  };
}
