/** Where sign-in leads back to: a path of this app, never another site. */
export function safeNext(next: unknown): string {
  if (typeof next !== 'string' || !/^\/(?![/\\])/.test(next) || next.startsWith('/signin')) return '/'
  return next
}
