/** All that the console says beside the shared words: a file for each part, with both languages side by side. */
import * as account from './words/account'
import * as act from './words/act'
import * as audit from './words/audit'
import * as overview from './words/overview'
import * as rooms from './words/rooms'
import * as settings from './words/settings'
import * as shell from './words/shell'
import * as talk from './words/talk'
import * as users from './words/users'

export const en = { ...shell.en, ...account.en, ...overview.en, ...users.en, ...rooms.en, ...talk.en, ...settings.en, ...audit.en, ...act.en }
export const zh = { ...shell.zh, ...account.zh, ...overview.zh, ...users.zh, ...rooms.zh, ...talk.zh, ...settings.zh, ...audit.zh, ...act.zh }

export type ConsoleMessages = typeof en
