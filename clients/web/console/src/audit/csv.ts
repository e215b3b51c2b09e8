/** Excel takes a file without it for the system's old encoding. */
const BOM = '\uFEFF'

/**
 * One field (RFC 4180). What a spreadsheet would take for a formula gets an apostrophe in front, which makes it text:
 * anything that begins with =, +, -, @ or their wide forms, also behind white space, or with a tab or a line break.
 */
export function csvField(value: string): string {
  const text = /^(?:\s*[=+\-@＝＋－＠]|[\t\r\n])/.test(value) ? `'${value}` : value
  return /[",\r\n\t']/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

export const csvRow = (fields: readonly string[]): string => `${fields.map(csvField).join(',')}\r\n`

/** A whole file for spreadsheets, as the parts of a Blob. */
export function csvFile(header: readonly string[], rows: Iterable<readonly string[]>): string[] {
  const parts = [BOM, csvRow(header)]
  for (const row of rows) parts.push(csvRow(row))
  return parts
}
