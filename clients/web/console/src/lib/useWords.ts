import { Platform, Role } from '@gen/stoa/auth/v1/auth_pb'
import { useI18n } from 'vue-i18n'

const roles: Partial<Record<Role, 'guest' | 'user' | 'moderator' | 'admin'>> = { [Role.GUEST]: 'guest', [Role.USER]: 'user', [Role.MODERATOR]: 'moderator', [Role.ADMIN]: 'admin' }
const platforms: Partial<Record<Platform, 'web' | 'android' | 'ios' | 'desktop' | 'miniProgram' | 'cli'>> = {
  [Platform.WEB]: 'web',
  [Platform.ANDROID]: 'android',
  [Platform.IOS]: 'ios',
  [Platform.DESKTOP]: 'desktop',
  [Platform.MINI_PROGRAM]: 'miniProgram',
  [Platform.CLI]: 'cli',
}

/** Names of what the contracts number. */
export function useWords() {
  const { t } = useI18n()
  return {
    roleName: (role: Role | undefined): string => t(`role.${roles[role ?? Role.GUEST] ?? 'guest'}`),
    platformName: (platform: Platform): string => t(`platform.${platforms[platform] ?? 'unknown'}`),
  }
}
