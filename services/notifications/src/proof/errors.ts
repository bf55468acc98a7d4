import { Code } from "@connectrpc/connect";
import {
  NotificationErrorReason,
  NotificationErrorReasonSchema,
} from "#gen/shop/notifications/v1/notification_error_reason_pb.js";
import { defineErrors } from "#platform/errors.ts";

/** What the notifications service refuses; the proto's comments list each reason's metadata. */
export const NotificationError = defineErrors<NotificationErrorReason>({
  domain: "notifications.shop",
  reasons: NotificationErrorReasonSchema,
  codes: {
    [NotificationErrorReason.UNSPECIFIED]: Code.Unknown,
    [NotificationErrorReason.CUSTOMER_ERASED]: Code.NotFound,
  },
});

/** @returns CUSTOMER_ERASED */
export function customerErased(customerId: string): Error {
  const message = `the customer ${customerId} was erased, and is told nothing any more`;
  return new NotificationError(NotificationErrorReason.CUSTOMER_ERASED, message, { customer_id: customerId });
}
