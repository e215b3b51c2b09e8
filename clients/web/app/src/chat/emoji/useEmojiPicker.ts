import { computed, ref, shallowRef, watch } from 'vue'
import { useI18n } from 'vue-i18n'
import { groups, loadEmoji, searchEmoji, type Emoji } from './emoji'
import { layRows, stepIn, type Row, type Step } from './rows'
import { recentEmoji, rememberEmoji } from './recent'

export const columns = 8

/** What the picker shows and where it stands. */
export function useEmojiPicker() {
  const { locale } = useI18n()
  const all = shallowRef<readonly Emoji[]>([])
  const failed = ref(false)
  const query = ref('')
  const active = ref<number>()
  /** True once the arrow keys walk the grid; before, left and right belong to the text of the search. */
  const walking = ref(false)
  // As it was when the picker opened: what moves under the pointer is picked by mistake.
  const recent = recentEmoji()

  async function load(): Promise<void> {
    failed.value = false
    try {
      all.value = await loadEmoji(locale.value)
    } catch {
      failed.value = true
    }
  }
  watch(locale, load, { immediate: true })

  const rows = computed<Row[]>(() => {
    if (query.value.trim()) return layRows([{ part: 'found', emoji: searchEmoji(all.value, query.value) }], columns)
    const byChar = new Map(all.value.map((emoji) => [emoji.char, emoji]))
    const used = recent.flatMap((char) => byChar.get(char) ?? []).slice(0, 2 * columns)
    return layRows([
      { part: 'recent', emoji: used },
      ...groups.map((group) => ({ part: group, emoji: all.value.filter((emoji) => emoji.group === group) })),
    ], columns)
  })
  const count = computed(() => {
    const last = rows.value.at(-1)
    return last?.kind === 'cells' ? last.first + last.emoji.length : 0
  })
  /** The row of the active emoji. */
  const activeRow = computed(() => {
    const at = active.value
    return at === undefined ? -1 : rows.value.findIndex((row) => row.kind === 'cells' && at >= row.first && at < row.first + row.emoji.length)
  })
  const activeEmoji = computed(() => {
    const row = rows.value[activeRow.value]
    return row?.kind === 'cells' && active.value !== undefined ? row.emoji[active.value - row.first] : undefined
  })

  watch(query, () => {
    walking.value = false
    active.value = query.value.trim() ? 0 : undefined
  })

  return {
    query,
    rows,
    count,
    active,
    activeRow,
    activeEmoji,
    walking,
    loading: computed(() => all.value.length === 0 && !failed.value),
    failed,
    load,
    step: (step: Step) => {
      walking.value = true
      active.value = stepIn(rows.value, active.value, step)
    },
    remember: rememberEmoji,
  }
}
