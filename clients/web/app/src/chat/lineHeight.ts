import { isBlankName } from './names'
import { textOf } from '@stoa/shared/chat/content'
import type { Entry } from './entries'
import { isLong, linesOf, widthOf } from './longText'

// As ChatLine.vue draws them: a good guess keeps the list still until a line is measured.
const lineOfText = 20
const aroundGroup = 8
const aroundContinued = 3
const dayHeight = 37
const letterWidth = 7.1
const margins = 32
const clampedLines = 6
const moreButton = 24

/** About how high a line of the list will be, in pixels. */
export function heightOf(entry: Entry | undefined, listWidth: number): number {
  if (!entry) return 0
  if (entry.kind === 'day' || entry.kind === 'begin') return dayHeight
  const around = entry.continued ? aroundContinued : aroundGroup
  const letters = Math.max(16, Math.floor((Math.max(listWidth, 200) - margins) / letterWidth))
  const [text, name] = entry.kind === 'message' ? [textOf(entry.message), entry.message.sender?.nickname] : [entry.item.text, '']
  if (text === '') return lineOfText + around
  const nameWidth = entry.continued || isBlankName(name) ? 0 : Math.min(20, widthOf(name ?? '') + 1)
  if (isLong(text)) return clampedLines * lineOfText + moreButton + around
  return linesOf(`${'x'.repeat(nameWidth)}${text}`, letters) * lineOfText + around
}
