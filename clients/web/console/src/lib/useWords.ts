import { type Platform, Role } from '@gen/stoa/auth/v1/auth_pb'
import { platformKey } from '@stoa/shared/i18n/platform'
import { useI18n } from 'vue-i18n'

const roles: Partial<Record<Role, 'guest' | 'user' | 'moderator' | 'admin'>> = { [Role.GUEST]: 'guest', [Role.USER]: 'user', [Role.MODERATOR]: 'moderator', [Role.ADMIN]: 'admin' }

/** Names of what the contracts number. */
export function useWords() {
  const { t } = useI18n()
  return {
    roleName: (role: Role | undefined): string => t(`role.${roles[role ?? Role.GUEST] ?? 'guest'}`),
    platformName: (platform: Platform): string => t(platformKey(platform)),
  }
}
