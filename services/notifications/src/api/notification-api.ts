import type { ServiceImpl } from "@connectrpc/connect";
import { NotificationPreferencesSchema } from "#gen/shop/notifications/v1/notification_pb.js";
import {
  type GetPreferencesRequest,
  GetPreferencesResponseSchema,
  type ListNotificationsRequest,
  ListNotificationsResponseSchema,
  type NotificationService,
  type RetryNotificationsRequest,
  RetryNotificationsResponseSchema,
  type SetPreferencesRequest,
  SetPreferencesResponseSchema,
} from "#gen/shop/notifications/v1/notification_service_pb.js";
import { isId } from "#platform/id.ts";
import type { Json, PageTokens } from "#platform/page-token.ts";
import { whole } from "#platform/whole.ts";
import type { NotificationRepository } from "../outbox/notification.repository.ts";
import type { Preferences, RecipientRepository } from "../recipient/recipient.repository.ts";
import {
  toKindProtos,
  toKinds,
  toLanguage,
  toLanguageProto,
  toNotificationProto,
  toStatus,
} from "./notification-proto.ts";

/** What the service answers with. */
export interface NotificationApiOptions {
  readonly notifications: Pick<NotificationRepository, "list" | "retry">;
  readonly recipients: Pick<RecipientRepository, "get" | "set">;
  readonly pageTokens: PageTokens;
  /** How long a notification is tried, in milliseconds. */
  readonly budgetMs: number;
}

function placeOf(cursor: Json): string | undefined {
  return typeof cursor === "string" && isId(cursor) ? cursor : undefined;
}

function toPreferencesProto(customerId: string, { language, muted }: Preferences) {
  return whole(NotificationPreferencesSchema, {
    customerId,
    language: toLanguageProto(language),
    mutedKinds: toKindProtos(muted),
  });
}

/** NotificationService, as its proto says. */
export class NotificationApi implements ServiceImpl<typeof NotificationService> {
  readonly #options: NotificationApiOptions;

  constructor(options: NotificationApiOptions) {
    this.#options = options;
  }

  /** Returns how a customer wants to be told. */
  async getPreferences({ customerId }: GetPreferencesRequest) {
    const preferences = await this.#options.recipients.get(customerId);
    return whole(GetPreferencesResponseSchema, { preferences: toPreferencesProto(customerId, preferences) });
  }

  /** Says how a customer wants to be told. */
  async setPreferences({ customerId, language, mutedKinds }: SetPreferencesRequest) {
    const preferences = { language: toLanguage(language), muted: toKinds(mutedKinds).sort() };
    await this.#options.recipients.set(customerId, preferences);
    return whole(SetPreferencesResponseSchema, { preferences: toPreferencesProto(customerId, preferences) });
  }

  /** Lists notifications, the newest first. */
  async listNotifications(request: ListNotificationsRequest) {
    const { notifications, pageTokens } = this.#options;
    const { customerId, orderId } = request;
    const status = toStatus(request.status);
    const { items, nextPageToken } = await pageTokens.page(request, {
      filter: ["ListNotifications", customerId, orderId, status],
      place: placeOf,
      read: (page) => notifications.list({ customerId, orderId, status, ...page }),
      cursorOf: ({ notificationId }) => notificationId,
    });
    return whole(ListNotificationsResponseSchema, { notifications: items.map(toNotificationProto), nextPageToken });
  }

  /** Has notifications that failed sent again. */
  async retryNotifications({ notificationIds }: RetryNotificationsRequest) {
    const { notifications, budgetMs } = this.#options;
    const retried = await notifications.retry(notificationIds, budgetMs);
    return whole(RetryNotificationsResponseSchema, { notifications: retried.map(toNotificationProto) });
  }
}
