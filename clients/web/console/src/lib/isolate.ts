/** A name inside a sentence of ours: whichever way it is written, it turns nothing around it. */
export const isolate = (name: string): string => `\u2068${name}\u2069`
