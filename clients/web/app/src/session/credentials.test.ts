import { describe, expect, it } from 'vitest'
import { passwordProblem, usernameProblem } from './credentials'

describe('usernameProblem', () => {
  it.each([
    ['', true, 'usernameMissing'],
    ['', false, 'usernameMissing'],
    ['ada', true, undefined],
    ['ad', true, 'usernameInvalid'],
    ['1ada', true, 'usernameInvalid'],
    ['ada lovelace', true, 'usernameInvalid'],
    ['阿达', true, 'usernameInvalid'],
    ['a.b-c_9', true, undefined],
    ['a'.repeat(33), true, 'usernameInvalid'],
    // Whoever has an account knows its name; the server answers for the rest.
    ['1ada', false, undefined],
  ])('says of %j (new: %s) %s', (username, isNew, wanted) => {
    expect(usernameProblem(username, isNew)).toBe(wanted)
  })
})

describe('passwordProblem', () => {
  it.each([
    ['', false, 'passwordMissing'],
    ['short', true, 'passwordShort'],
    ['short', false, undefined],
    ['long enough', true, undefined],
    ['👩‍👩‍👧‍👧👩‍👩‍👧‍👧', true, undefined],
    ['😀😀😀😀', true, 'passwordShort'],
  ])('says of %j (new: %s) %s', (password, isNew, wanted) => {
    expect(passwordProblem(password, isNew)).toBe(wanted)
  })
})
