import { ElMessage } from 'element-plus'
import { h } from 'vue'

/** Says for a moment what was done, or why it was not; read out by screen readers, since Element's box is an alert. */
export function say(text: string, kind: 'success' | 'error' = 'success'): void {
  ElMessage({
    type: kind,
    message: () => h('span', { 'data-testid': 'toast', 'data-kind': kind }, text),
    duration: kind === 'success' ? 5_000 : 9_000,
    showClose: true,
    placement: 'bottom',
    offset: 24,
  })
}
