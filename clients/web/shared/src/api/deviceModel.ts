// Browsers name those that they wish to be taken for, too: whoever is named first here goes before the others.
const browsers: readonly [name: string, pattern: RegExp][] = [
  ['Edge', /(?:Edg|EdgA|EdgiOS)\/(\d+)/],
  ['Opera', /(?:OPR|OPT)\/(\d+)/],
  ['Firefox', /(?:Firefox|FxiOS)\/(\d+)/],
  ['Chrome', /(?:Chrome|CriOS)\/(\d+)/],
  ['Safari', /Version\/(\d+).* Safari\//],
]
const systems: readonly [name: string, pattern: RegExp][] = [
  ['iPhone', /iPhone/],
  ['iPad', /iPad/],
  ['Android', /Android/],
  ['Windows', /Windows/],
  ['Mac', /Macintosh|Mac OS X/],
  ['Linux', /Linux|X11/],
]

/** A name by which the owner recognises this browser in a list of devices, at most 64 characters. */
export function deviceModel(userAgent: string): string {
  const [browser, match] = browsers
    .map(([name, pattern]) => [name, pattern.exec(userAgent)] as const)
    .find(([, found]) => found) ?? ['Browser']
  const system = systems.find(([, pattern]) => pattern.test(userAgent))?.[0]
  return [browser, match?.[1], system].filter(Boolean).join(' ').slice(0, 64)
}
