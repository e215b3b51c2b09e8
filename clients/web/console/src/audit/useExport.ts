import type { AuditEntry } from '@gen/stoa/admin/v1/admin_service_pb'
import { timestampDate } from '@bufbuild/protobuf/wkt'
import { computed, onScopeDispose, ref, shallowRef } from 'vue'
import { admin } from '@console/api'
import { saveFile } from '@console/lib/saveFile'
import { collect } from './collect'
import { csvFile } from './csv'
import { auditFilter, type AuditValues } from './filters'

/** Columns are for programs too, so they are the same in every language. */
const header = ['time', 'id', 'actor_id', 'actor_name', 'action', 'target_id', 'target_name', 'detail', 'error']

function row(entry: AuditEntry): string[] {
  const time = entry.at ? timestampDate(entry.at).toISOString() : ''
  return [time, entry.id, entry.actorId, entry.actorName, entry.action, entry.targetId, entry.targetName, entry.detail, entry.error]
}

/** Writes all entries that match into a file, with progress and a way out. */
export function useExport() {
  const count = ref(0)
  const running = shallowRef<AbortController>()
  const error = shallowRef<unknown>()

  /** Resolves to how many there were; undefined when it was cancelled or failed. */
  async function run(values: AuditValues): Promise<number | undefined> {
    const abort = (running.value = new AbortController())
    count.value = 0
    error.value = undefined
    const filter = auditFilter(values)
    try {
      const entries = await collect({
        signal: abort.signal,
        onProgress: (now) => (count.value = now),
        read: async (pageToken, signal) => {
          const page = await admin.listAuditEntries({ ...filter, pageSize: 100, pageToken }, { signal })
          return { items: page.entries, nextPageToken: page.nextPageToken }
        },
      })
      if (!entries) return undefined
      const day = new Date().toISOString().slice(0, 10)
      saveFile(`stoa-audit-${day}.csv`, new Blob(csvFile(header, entries.map(row)), { type: 'text/csv;charset=utf-8' }))
      return entries.length
    } catch (failure) {
      error.value = failure
      return undefined
    } finally {
      if (running.value === abort) running.value = undefined
    }
  }
  function cancel(): void {
    running.value?.abort()
    running.value = undefined
  }
  onScopeDispose(cancel)

  return { isRunning: computed(() => running.value !== undefined), count, error, run, cancel }
}
