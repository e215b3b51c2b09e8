import type { Mute, UserDevice } from '@gen/stoa/admin/v1/admin_service_pb'
import { Role, type User } from '@gen/stoa/auth/v1/auth_pb'
import type { Message } from '@gen/stoa/chat/v1/chat_pb'
import type { Room } from '@gen/stoa/live/v1/live_pb'
import { useI18n } from 'vue-i18n'
import { admin } from '@console/api'
import { textOf } from '@stoa/shared/chat/content'
import { isolate } from '@stoa/shared/lib/isolate'
import { useFormat } from '@console/lib/useFormat'
import { useWords } from '@console/lib/useWords'
import { ask, type ReasonField } from './ask'

const presetNames = ['spam', 'insults', 'sexual', 'violence', 'illegal', 'copyright'] as const

/** Everything that the staff can do, each asked once. Each resolves to whether it was done. */
export function useActs() {
  const { t } = useI18n()
  const { until: untilWords } = useFormat()
  const { roleName } = useWords()

  /** A reason to give; filled in already where an act must be done in two clicks. */
  function reason(hint: string, filled = false): ReasonField {
    const presets = presetNames.map((name) => t(`act.presets.${name}`))
    return { label: t('act.reason'), hint, maxLength: 200, presets, value: filled ? presets[0] : '' }
  }

  return {
    ban: (user: User) => ask({
      name: 'ban', danger: true, title: t('act.ban.title', { name: isolate(user.nickname) }), text: t('act.ban.text'), confirm: t('act.ban.confirm'),
      reason: reason(t('act.shownToUser')), spans: ['day', 'week', 'month', 'ever', 'custom'], span: 'week',
      async run({ reason, until }) {
        await admin.banUser({ userId: user.id, reason, until })
        return t('act.ban.done', { name: isolate(user.nickname), until: untilWords(until) })
      },
    }),
    unban: (user: User) => ask({
      name: 'unban', title: t('act.unban.title', { name: isolate(user.nickname) }), text: t('act.unban.text'), confirm: t('act.unban.confirm'),
      async run() {
        await admin.unbanUser({ userId: user.id })
        return t('act.unban.done', { name: isolate(user.nickname) })
      },
    }),
    setRole: (user: User, role: Role) => ask({
      name: 'role', danger: role === Role.ADMIN, title: t('act.role.title', { name: isolate(user.nickname), role: roleName(role) }),
      text: `${t(role === Role.ADMIN ? 'act.role.textAdmin' : role === Role.MODERATOR ? 'act.role.textModerator' : 'act.role.textUser')} ${t('act.role.signsOut')}`,
      confirm: t('act.role.confirm'),
      async run() {
        await admin.setUserRole({ userId: user.id, role })
        return t('act.role.done', { name: isolate(user.nickname), role: roleName(role) })
      },
    }),
    revoke: (user: User, device: UserDevice) => ask({
      name: 'revoke', danger: true, title: t('act.revoke.title', { name: isolate(user.nickname) }),
      text: t('act.revoke.text', { device: isolate(device.model || t('platform.unknown')) }), confirm: t('act.revoke.confirm'),
      async run() {
        await admin.revokeUserDevice({ userId: user.id, sessionId: device.sessionId })
        return t('act.revoke.done', { name: isolate(user.nickname), device: isolate(device.model || t('platform.unknown')) })
      },
    }),
    /** Without a conversation the mute holds everywhere. */
    mute: (user: User, conversationId = '') => ask({
      name: 'mute', danger: true, title: t('act.mute.title', { name: isolate(user.nickname) }), text: t('act.mute.text'), confirm: t('act.mute.confirm'),
      reason: reason(t('act.shownToUser'), true), spans: ['tenMinutes', 'hour', 'day', 'week', 'ever', 'custom'], span: 'hour', asksWhere: conversationId !== '',
      async run({ reason, until, everywhere }) {
        const here = everywhere ? '' : conversationId
        await admin.muteUser({ userId: user.id, conversationId: here, reason, until })
        return t(here ? 'act.mute.doneHere' : 'act.mute.doneEverywhere', { name: isolate(user.nickname), until: untilWords(until) })
      },
    }),
    unmute: (mute: Mute) => ask({
      name: 'unmute', title: t('act.unmute.title', { name: isolate(mute.user?.nickname ?? '') }), text: t('act.unmute.text'), confirm: t('act.unmute.confirm'),
      async run() {
        await admin.unmuteUser({ userId: mute.user?.id, conversationId: mute.conversationId })
        return t('act.unmute.done', { name: isolate(mute.user?.nickname ?? '') })
      },
    }),
    endBroadcast: (room: Room) => ask({
      name: 'end', danger: true, title: t('act.end.title'), quote: room.title, text: t('act.end.text'), confirm: t('act.end.confirm'),
      reason: reason(t('act.forTheLog')),
      async run({ reason }) {
        await admin.endBroadcast({ roomId: room.id, reason })
        return t('act.end.done', { title: isolate(room.title) })
      },
    }),
    warn: (room: Room) => ask({
      name: 'warn', title: t('act.warn.title', { name: isolate(room.owner?.nickname ?? '') }), quote: room.title, text: t('act.warn.text'), confirm: t('act.warn.confirm'),
      reason: { id: 'text', label: t('act.warn.label'), hint: t('act.shownToUser'), maxLength: 300 },
      async run({ reason }) {
        await admin.warnStreamer({ roomId: room.id, text: reason })
        return t('act.warn.done', { name: isolate(room.owner?.nickname ?? '') })
      },
    }),
    takeDownCover: (room: Room) => ask({
      name: 'cover', danger: true, title: t('act.cover.title'), quote: room.title, text: t('act.cover.text'), confirm: t('act.cover.confirm'),
      reason: reason(t('act.forTheLog')),
      async run({ reason }) {
        await admin.takeDownCover({ roomId: room.id, reason })
        return t('act.cover.done', { title: isolate(room.title) })
      },
    }),
    deleteMessage: (message: Message) => ask({
      name: 'delete', danger: true, title: t('act.delete.title', { name: isolate(message.sender?.nickname ?? '') }),
      quote: textOf(message) || undefined, text: t('act.delete.text'), confirm: t('act.delete.confirm'),
      reason: reason(t('act.forTheLog'), true),
      async run({ reason }) {
        const { conversationId, epoch, seq } = message
        await admin.deleteMessage({ conversationId, position: { epoch, seq }, reason })
        return t('act.delete.done', { name: isolate(message.sender?.nickname ?? '') })
      },
    }),
  }
}
