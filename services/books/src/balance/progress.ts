/** How far a comparison has come. */
export interface Progress {
  /** What is being compared, such as `orders`. */
  readonly what: string;
  readonly done: number;
  /** How many there are, as PostgreSQL estimates it; undefined when it cannot. */
  readonly of: number | undefined;
}

/** Told after each page. */
export type Onward = (progress: Progress) => void;

/** A comparison as one line of a log, such as `48,000 of about 200,000 orders`. */
export function describeProgress({ what, done, of }: Progress): string {
  const number = (count: number) => count.toLocaleString("en-US");
  return of !== undefined && of >= done ? `${number(done)} of about ${number(of)} ${what}` : `${number(done)} ${what}`;
}
