import type { Timestamp } from '@bufbuild/protobuf/wkt'
import { timestampMs } from '@bufbuild/protobuf/wkt'
import type { Sample } from '@gen/stoa/admin/v1/admin_service_pb'
import { admin } from '@console/api'
import { useLoad } from '@console/lib/useLoad'
import { merge } from './ring'

export interface Overview {
  samples: readonly Sample[]
  cpuCount: number
  startedMs: number
  version: string
}

/** How the installation does, asked for every two seconds: only what is new since the time before. */
export function useOverview() {
  let samples: readonly Sample[] = []
  return useLoad<Overview>(async (signal) => {
    const after: Timestamp | undefined = samples.at(-1)?.at
    const answer = await admin.getOverview({ after }, { signal })
    samples = merge(samples, answer.samples)
    return { samples, cpuCount: answer.cpuCount, startedMs: answer.startedAt ? timestampMs(answer.startedAt) : 0, version: answer.version }
  }, 2_000)
}
