/** All that the console says beside the shared words: a file for each part, with both languages side by side. */
import * as shell from './words/shell'

export const en = { ...shell.en }
export const zh = { ...shell.zh }

export type ConsoleMessages = typeof en
