import { onScopeDispose, ref } from 'vue'
import { copyText } from './clipboard'

/** Copies text, and says for `sayMs` milliseconds how that went. */
export function useCopy(sayMs = 2_000) {
  const said = ref<'copied' | 'copyFailed'>()
  let timer: ReturnType<typeof setTimeout> | undefined

  async function copy(text: string): Promise<boolean> {
    const done = await copyText(text)
    said.value = done ? 'copied' : 'copyFailed'
    clearTimeout(timer)
    timer = setTimeout(() => (said.value = undefined), sayMs)
    return done
  }
  onScopeDispose(() => clearTimeout(timer))

  return { said, copy }
}
