/** All that this app says beside the shared words: a file for each part, with both languages side by side. */
import * as account from './words/account'
import * as chat from './words/chat'
import * as home from './words/home'
import * as nav from './words/nav'
import * as player from './words/player'
import * as room from './words/room'
import * as studio from './words/studio'

export const en = { ...nav.en, ...home.en, ...room.en, ...player.en, ...chat.en, ...account.en, ...studio.en }
export const zh = { ...nav.zh, ...home.zh, ...room.zh, ...player.zh, ...chat.zh, ...account.zh, ...studio.zh }

export type AppMessages = typeof en
