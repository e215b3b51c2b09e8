import { defineComponent, h, onScopeDispose, ref, shallowRef, type Component } from 'vue'
import PartFailed from '../components/PartFailed.vue'
import { backoffMs } from './backoff'
import { loadPart } from './loadPart'
import { isAborted, sleep } from './sleep'

/** After so many attempts somebody should know. */
const patience = 3

export interface LazyOptions {
  /** Stands in the part's place until it is there. */
  waiting?: Component
  /** Says that the part stays away; its `retry` event asks for it at once. */
  failed?: Component
  /** For what opens over the page, and would say its failure where nobody looks. */
  over?: boolean
}

/** True when the server answers at all, whatever it says. */
async function serverAnswers(): Promise<boolean> {
  try {
    return (await fetch(location.href, { method: 'HEAD', cache: 'no-store' })).status < 500
  } catch {
    return false
  }
}

/** A component that is loaded when it is first shown. While it stays away, it says so and goes on asking for it. */
export function lazy<T extends Component>(load: () => Promise<{ default: T }>, { waiting, failed = PartFailed, over = false }: LazyOptions = {}): T {
  const part = shallowRef<T>()
  let loading: Promise<boolean> | undefined

  function attempt(): Promise<boolean> {
    loading ??= loadPart(load)
      .then((module) => {
        part.value = module.default
        return true
      }, () => false)
      .finally(() => (loading = undefined))
    return loading
  }

  /** By hand. Some browsers remember a module that failed for as long as the page lives, and an upgrade took the old one away. */
  async function retry(): Promise<void> {
    if (!(await attempt()) && (await serverAnswers())) location.reload()
  }

  return defineComponent({
    name: 'LazyPart',
    inheritAttrs: false,
    setup(_props, { attrs, slots }) {
      const hasFailed = ref(false)
      const abort = new AbortController()
      onScopeDispose(() => abort.abort())

      async function keepTrying(): Promise<void> {
        for (let attempts = 1; !isAborted(abort.signal) && !(await attempt()); attempts++) {
          hasFailed.value = attempts >= patience
          await sleep(backoffMs(attempts - 1, { firstMs: 500, maxMs: 10_000 }), abort.signal)
        }
      }
      if (!part.value) void keepTrying()

      return () => {
        if (part.value) return h(part.value, attrs, slots)
        if (hasFailed.value) return h(failed, failed === PartFailed ? { over, onRetry: retry } : { onRetry: retry })
        return waiting ? h(waiting) : null
      }
    },
  }) as Component as T
}
