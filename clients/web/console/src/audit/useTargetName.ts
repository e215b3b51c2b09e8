import type { AuditEntry } from '@gen/stoa/admin/v1/admin_service_pb'
import { useI18n } from 'vue-i18n'
import { useRoomNames } from '@console/rooms/useRoomNames'

/** What an act was done to, by name where there is one: conversations have none, and their rooms do. */
export function useTargetName(): (entry: AuditEntry) => string {
  const { t } = useI18n()
  const { roomOf } = useRoomNames()
  return ({ targetId, targetName }) => {
    const room = roomOf(targetId)
    return targetName || (room ? t('audit.chatOf', { title: room.title }) : targetId)
  }
}
