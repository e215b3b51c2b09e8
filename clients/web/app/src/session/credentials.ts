/** What the schema asks of names and passwords, told before a call is made. */
export type CredentialProblem = 'usernameMissing' | 'usernameInvalid' | 'passwordMissing' | 'passwordShort'

/** Least characters of a new password. */
export const MIN_PASSWORD = 8

/** What is wrong with a username; a new one must also have the right shape. */
export function usernameProblem(username: string, isNew: boolean): CredentialProblem | undefined {
  if (username === '') return 'usernameMissing'
  return isNew && !/^[A-Za-z][A-Za-z0-9_.-]{2,31}$/.test(username) ? 'usernameInvalid' : undefined
}

/** What is wrong with a password; a new one must also be long enough. The schema counts characters, not UTF-16 units. */
export function passwordProblem(password: string, isNew: boolean): CredentialProblem | undefined {
  if (password === '') return 'passwordMissing'
  return isNew && Array.from(password).length < MIN_PASSWORD ? 'passwordShort' : undefined
}
