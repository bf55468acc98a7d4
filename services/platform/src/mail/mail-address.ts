/** No blank, control, comma, quote or bracket: what a mail client would read as more than one address. */
const pattern = /^[^\s\p{C}<>()[\],;:"\\@]{1,64}@[^\s\p{C}<>()[\],;:"\\@]{1,253}$/u;

/** Whether a text is one e-mail address, and can be nothing else. */
export function isMailAddress(text: string): boolean {
  return text.length <= 254 && pattern.test(text);
}

/** What follows the `@`. */
export function domainOf(address: string): string {
  return address.slice(address.lastIndexOf("@") + 1);
}
