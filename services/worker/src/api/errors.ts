import { Code } from "@connectrpc/connect";
import { SagaErrorReason, SagaErrorReasonSchema } from "#gen/shop/sagas/v1/saga_error_reason_pb.js";
import { defineErrors } from "#platform/errors.ts";

/** The refusals of the worker. */
export const SagaError = defineErrors<SagaErrorReason>({
  domain: "sagas.shop",
  reasons: SagaErrorReasonSchema,
  codes: {
    [SagaErrorReason.UNSPECIFIED]: Code.Unknown,
    [SagaErrorReason.SAGA_NOT_FOUND]: Code.NotFound,
    [SagaErrorReason.NOT_CANCELLABLE]: Code.FailedPrecondition,
    [SagaErrorReason.STEP_NOT_PARKED]: Code.FailedPrecondition,
    [SagaErrorReason.SAGA_TOO_LARGE]: Code.InvalidArgument,
    [SagaErrorReason.STEP_NOT_RESOLVABLE]: Code.FailedPrecondition,
    [SagaErrorReason.SAGA_UNREADABLE]: Code.InvalidArgument,
  },
});
