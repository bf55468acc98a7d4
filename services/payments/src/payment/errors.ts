import { Code } from "@connectrpc/connect";
import { PaymentErrorReason, PaymentErrorReasonSchema } from "#gen/shop/payments/v1/payment_error_reason_pb.js";
import { defineErrors } from "#platform/errors.ts";

/** Refusals of the payments service; the proto's comments say what each means and which metadata it carries. */
export const PaymentError = defineErrors<PaymentErrorReason>({
  domain: "payments.shop",
  reasons: PaymentErrorReasonSchema,
  codes: {
    [PaymentErrorReason.UNSPECIFIED]: Code.Unknown,
    [PaymentErrorReason.PAYMENT_NOT_FOUND]: Code.NotFound,
    [PaymentErrorReason.PAYMENT_DECLINED]: Code.FailedPrecondition,
    [PaymentErrorReason.PAYMENT_VOIDED]: Code.FailedPrecondition,
    [PaymentErrorReason.NOT_AUTHORIZED]: Code.FailedPrecondition,
    [PaymentErrorReason.AMOUNT_EXCEEDS_AUTHORIZATION]: Code.FailedPrecondition,
    [PaymentErrorReason.AMOUNT_EXCEEDS_CAPTURE]: Code.FailedPrecondition,
    [PaymentErrorReason.CURRENCY_MISMATCH]: Code.InvalidArgument,
    [PaymentErrorReason.PAYMENT_ID_TAKEN]: Code.AlreadyExists,
  },
});

/** One refusal of the payments service. */
export type PaymentError = InstanceType<typeof PaymentError>;
