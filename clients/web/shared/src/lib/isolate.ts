/** What people wrote, inside a sentence of ours: whichever way it is written, it turns nothing around it. */
export const isolate = (text: string): string => `\u2068${text}\u2069`
