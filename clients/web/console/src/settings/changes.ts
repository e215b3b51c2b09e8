import type { Site } from '@gen/stoa/site/v1/site_service_pb'

/** The settings that can be changed, as a form holds them. */
export type SiteForm = Pick<Site, 'name' | 'announcement' | 'signUpEnabled' | 'roomCreationEnabled'>
export type SiteField = keyof SiteForm

/** What each is called in an update mask. */
export const maskNames: Record<SiteField, string> = {
  name: 'name',
  announcement: 'announcement',
  signUpEnabled: 'sign_up_enabled',
  roomCreationEnabled: 'room_creation_enabled',
}

export const fields = Object.keys(maskNames) as SiteField[]

export function formOf({ name, announcement, signUpEnabled, roomCreationEnabled }: Site): SiteForm {
  return { name, announcement, signUpEnabled, roomCreationEnabled }
}

/** Which fields differ from what the server has. */
export function changed(saved: SiteForm, form: SiteForm): SiteField[] {
  return fields.filter((field) => saved[field] !== form[field])
}

/** The form after the server's settings became others: fields that the reader has changed stay, the others follow. */
export function follow(before: SiteForm, now: SiteForm, form: SiteForm): SiteForm {
  const mine = changed(before, form)
  return { ...now, ...Object.fromEntries(mine.map((field) => [field, form[field]])) }
}
