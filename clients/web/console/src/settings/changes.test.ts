import { expect, it } from 'vitest'
import { changed, follow, type SiteForm } from './changes'

const saved: SiteForm = { name: 'Stoa', announcement: '', signUpEnabled: true, roomCreationEnabled: true }

it('finds what was changed', () => {
  expect(changed(saved, saved)).toEqual([])
  expect(changed(saved, { ...saved, name: 'Agora', signUpEnabled: false })).toEqual(['name', 'signUpEnabled'])
})

it('follows the server where the reader has changed nothing', () => {
  const form = { ...saved, announcement: 'Back at eight' }
  const now = { ...saved, name: 'Agora', announcement: 'Closed' }
  expect(follow(saved, now, form)).toEqual({ ...saved, name: 'Agora', announcement: 'Back at eight' })
})
