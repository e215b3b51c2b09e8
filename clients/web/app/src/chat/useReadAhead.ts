import type { VirtualItem } from '@tanstack/vue-virtual'
import { watch, type Ref } from 'vue'
import type { History } from './useHistory'

/** Lines that are left before more are asked for. */
const ahead = 20

/** Loads more messages before the reader comes to an end of those that are there. A failure waits for the reader. */
export function useReadAhead(history: History, drawn: Readonly<Ref<readonly VirtualItem[]>>, reading: () => boolean, count: () => number): void {
  watch([drawn, history.loading, reading], ([lines]) => {
    const [first, last] = [lines[0], lines.at(-1)]
    if (!first || !last || history.loading.value || history.failed.value) return
    if (!history.atEnd.value && last.index >= count() - ahead) void history.load('newer')
    else if (reading() && history.hasOlder.value && first.index < ahead) void history.load('older')
  })
}
