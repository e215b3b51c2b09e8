import { Platform } from '@gen/stoa/auth/v1/auth_pb'

const words: Partial<Record<Platform, 'web' | 'android' | 'ios' | 'desktop' | 'miniProgram' | 'cli'>> = {
  [Platform.WEB]: 'web',
  [Platform.ANDROID]: 'android',
  [Platform.IOS]: 'ios',
  [Platform.DESKTOP]: 'desktop',
  [Platform.MINI_PROGRAM]: 'miniProgram',
  [Platform.CLI]: 'cli',
}

/** The key of a platform's name among the words; one that a newer server knows reads as unknown. */
export const platformKey = (platform: Platform) => `platform.${words[platform] ?? 'unknown'}` as const
