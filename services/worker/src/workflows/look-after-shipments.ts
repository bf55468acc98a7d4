import {
  isCancellation,
  log,
  makeContinueAsNewFunc,
  proxyActivities,
  setWorkflowOptions,
  workflowInfo,
} from "@temporalio/workflow";

/** What came of asking about one page of parcels. */
export interface TrackedPage {
  /** For the next page; empty when there is none. */
  readonly nextPageToken: string;
  /** How many parcels the carrier was asked about, and for how many it gave no answer. */
  readonly asked: number;
  readonly unanswered: number;
  /** How long to wait before all are looked at again, in milliseconds: as the worker that asked is configured. */
  readonly everyMs: number;
}

/** The activity of the look: has shipping ask about a page of parcels. */
export interface LookActivities {
  /** @param pageToken from the page before; empty for the first */
  trackShipments(pageToken: string): Promise<TrackedPage>;
}

/** Where the next run begins, and when. */
interface Next {
  readonly pageToken: string;
  /** Milliseconds. */
  readonly pauseMs: number;
}

/** The most pages of one run: what is recorded of it stays short, however much there is to ask. */
const maxPages = 50;
/** How long to wait when the carrier answered for nothing, or shipping was away; an hour, in milliseconds. */
const soonMs = 3_600_000;

const { trackShipments } = proxyActivities<LookActivities>({
  // Longer than shipping takes for a page.
  startToCloseTimeout: "25 seconds",
  retry: { initialInterval: "5 seconds", maximumInterval: "1 minute", maximumAttempts: 10 },
});

/**
 * The daily look at parcels that nobody reports: has the carrier asked about all of them, a page at a time, and goes on in a
 * new run, which begins when it is time. It never ends by itself, and it fails for nothing: what is away today is asked tomorrow.
 *
 * A run that waits has no task yet. So nothing is kept in memory for it, and no later version has to repeat what an earlier
 * one did.
 *
 * @param pageToken where the run before left off; empty: at the beginning
 */
export async function lookAfterShipments(pageToken = ""): Promise<void> {
  const next = await look(pageToken);
  const continueLater = makeContinueAsNewFunc<typeof lookAfterShipments>({ backoffStartInterval: next.pauseMs });
  await continueLater(next.pageToken);
}

// With versions of the worker, the next run begins with the one that is current then: it is not an order's, to stay with its own.
setWorkflowOptions(
  () => (workflowInfo().currentDeploymentVersion?.deploymentName ? { versioningBehavior: "AUTO_UPGRADE" } : {}),
  lookAfterShipments,
);

/** Looks from a page on. */
async function look(from: string): Promise<Next> {
  let pageToken = from;
  let hasAnswer = false;
  try {
    for (let pages = 0; pages < maxPages; pages++) {
      const { nextPageToken, asked, unanswered, everyMs } = await trackShipments(pageToken);
      hasAnswer ||= asked === 0 || unanswered < asked;
      if (nextPageToken === "") return { pageToken: "", pauseMs: hasAnswer ? everyMs : Math.min(everyMs, soonMs) };
      pageToken = nextPageToken;
    }
    return { pageToken, pauseMs: 0 };
  } catch (error) {
    if (isCancellation(error)) throw error;
    log.warn("silent parcels could not be looked at, and will be in an hour", { error: String(error) });
    return { pageToken: "", pauseMs: soonMs };
  }
}
