import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  NotificationKind as Kind,
  NotificationChannel,
  NotificationLanguage,
  type Notification as NotificationProto,
  NotificationSchema,
  NotificationStatus as Status,
} from "#gen/shop/notifications/v1/notification_pb.js";
import { whole } from "#platform/whole.ts";
import type {
  Channel,
  Language,
  Notification,
  NotificationKind,
  NotificationStatus,
} from "../notification/notification.ts";

const kinds = {
  order_confirmed: Kind.ORDER_CONFIRMED,
  order_delayed: Kind.ORDER_DELAYED,
  order_changed: Kind.ORDER_CHANGED,
  order_rejected: Kind.ORDER_REJECTED,
  order_cancelled: Kind.ORDER_CANCELLED,
  parcel_shipped: Kind.PARCEL_SHIPPED,
  parcel_delivered: Kind.PARCEL_DELIVERED,
  parcel_lost: Kind.PARCEL_LOST,
  payment_refunded: Kind.PAYMENT_REFUNDED,
  return_received: Kind.RETURN_RECEIVED,
} as const satisfies Record<NotificationKind, Kind>;

const statuses = {
  pending: Status.PENDING,
  sent: Status.SENT,
  failed: Status.FAILED,
  skipped: Status.SKIPPED,
} as const satisfies Record<NotificationStatus, Status>;

const channels = { mail: NotificationChannel.MAIL } as const satisfies Record<Channel, NotificationChannel>;

const languages = {
  "": NotificationLanguage.UNSPECIFIED,
  en: NotificationLanguage.ENGLISH,
  de: NotificationLanguage.GERMAN,
} as const satisfies Record<Language | "", NotificationLanguage>;

function nameOf<Name extends string, Value>(values: Readonly<Record<Name, Value>>, value: Value): Name | undefined {
  return (Object.keys(values) as Name[]).find((name) => values[name] === value);
}

/** Kinds as they are stored, each once. */
export function toKinds(given: readonly Kind[]): NotificationKind[] {
  return [...new Set(given)].flatMap((kind) => nameOf<NotificationKind, Kind>(kinds, kind) ?? []);
}

/** Kinds as the contract has them. */
export function toKindProtos(given: readonly NotificationKind[]): Kind[] {
  return given.map((kind) => kinds[kind]);
}

/** A status as it is stored; empty for any. */
export function toStatus(status: Status): NotificationStatus | "" {
  return nameOf<NotificationStatus, Status>(statuses, status) ?? "";
}

/** A language as it is stored; empty where it goes by the country. */
export function toLanguage(language: NotificationLanguage): Language | "" {
  return nameOf<Language | "", NotificationLanguage>(languages, language) ?? "";
}

/** A language as the contract has it. */
export function toLanguageProto(language: Language | ""): NotificationLanguage {
  return languages[language];
}

/** A notification as those see it who look after it. */
export function toNotificationProto(notification: Notification): NotificationProto {
  const { kind, channel, status, nextTime, createTime, endTime } = notification;
  return whole(NotificationSchema, {
    notificationId: notification.notificationId,
    orderId: notification.orderId,
    customerId: notification.customerId,
    kind: kinds[kind],
    channel: channels[channel],
    status: statuses[status],
    reason: notification.reason,
    attempts: notification.attempts,
    nextTime: status === "pending" ? timestampFromDate(nextTime) : undefined,
    createTime: timestampFromDate(createTime),
    endTime: endTime ? timestampFromDate(endTime) : undefined,
    eventId: notification.eventId,
  });
}
