/** What an order wants for the case that there is less than it wants. */
export type ShortagePolicy = "reject" | "back_order" | "ship_available" | "ship_and_back_order";

/** Whether an order waits for stock, by the columns of its row. */
export const awaitsStock = "back_order_time is not null and stock_time is null and status = 'pending'";
