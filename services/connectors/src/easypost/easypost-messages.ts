// What is read of EasyPost's objects; everything else of them is left.
import { z } from "zod";

const text = z
  .string()
  .nullish()
  .transform((given) => given ?? "");

/** A price for which EasyPost sells a label. */
const rate = z.object({ id: z.string().min(1), carrier: z.string(), service: z.string(), rate: z.coerce.number() });

/** What a carrier said instead of a price: `rate_error` when it could not be asked, too. */
const message = z.object({ carrier: text, type: text });

const trackingDetail = z.object({
  status: text,
  status_detail: text,
  datetime: text,
  tracking_location: z.object({ city: text, state: text, country: text }).nullish(),
});

const tracker = z.object({
  id: z.string().min(1),
  tracking_details: z
    .array(trackingDetail)
    .nullish()
    .transform((given) => given ?? []),
});

/** A shipment; it is bought when it has a number and a label. */
export const shipmentMessage = z.object({
  id: z.string().min(1),
  tracking_code: text,
  refund_status: text,
  rates: z.array(rate).default([]),
  messages: z
    .array(message)
    .nullish()
    .transform((given) => given ?? []),
  selected_rate: rate.nullish(),
  postage_label: z.object({ label_url: text }).nullish(),
  tracker: tracker.nullish(),
});

/** An error's code. */
export const errorMessage = z.object({ error: z.object({ code: text }) });

/** Of an event that EasyPost tells of by webhook: a tracker and a refund say which shipment's they are. */
export const eventMessage = z.object({
  id: text,
  description: text,
  result: z.object({ shipment_id: text }).nullish(),
});

export type Shipment = z.infer<typeof shipmentMessage>;
export type Rate = z.infer<typeof rate>;
export type TrackingDetail = z.infer<typeof trackingDetail>;
export type Tracker = z.infer<typeof tracker>;

/** A label that was bought. */
export interface Bought {
  readonly trackingNumber: string;
  readonly carrier: string;
  readonly label: string;
}

/** What was bought for a shipment; undefined while there is no label. */
export function boughtOf({ tracking_code, selected_rate, postage_label }: Shipment): Bought | undefined {
  if (tracking_code === "" || !postage_label) return undefined;
  return { trackingNumber: tracking_code, carrier: selected_rate?.carrier ?? "", label: postage_label.label_url };
}
