import { backoffMs } from '@stoa/shared/lib/backoff'
import { sleep } from '@stoa/shared/lib/sleep'
import { watch } from 'vue'
import { reach, site } from '@console/api'

/** True from a call that found no server until one that did. */
export const serverIsAway = reach.isLost

// A page that asks for nothing by itself would not notice that the server is back.
watch(serverIsAway, async (away) => {
  for (let attempt = 0; away && serverIsAway.value; attempt++) {
    await sleep(backoffMs(attempt, { firstMs: 1_000, maxMs: 10_000 }))
    await site.getSite({}).catch(() => undefined)
  }
})
