import { differences } from '@stoa/shared/i18n/sameWords'
import { en as sharedEn } from '@stoa/shared/i18n/en'
import { expect, it } from 'vitest'
import { en, zh } from './words'

it('says everything in both languages', () => {
  expect(differences(en, zh)).toEqual([])
})

it('leaves the shared words alone', () => {
  expect(Object.keys(en).filter((key) => key in sharedEn)).toEqual([])
})
