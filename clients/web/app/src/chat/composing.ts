/**
 * True for the keys that an input method keeps for itself, such as the Enter that takes a word over. Safari ends the
 * composition before that Enter: only its old key code tells it from one that is meant for the page.
 */
export function isComposing(event: Pick<KeyboardEvent, 'isComposing' | 'keyCode'>): boolean {
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- There is no other sign.
  return event.isComposing || event.keyCode === 229
}
