import { Code, ConnectError } from '@connectrpc/connect'
import type { ServerFrame } from '@gen/stoa/edge/v1/edge_pb'
import { cutOff, refusalOf } from './errors'
import type { FrameInit, Link } from './link'

type Ask = NonNullable<FrameInit['kind']>
type Answer = ServerFrame['kind']
type AnswerCase = NonNullable<Answer['case']>
type ValueOf<C extends AnswerCase> = Extract<Answer, { case: C }>['value']

interface Waiting {
  settle: (answer: Answer) => void
  fail: (error: ConnectError) => void
}

export interface AskOptions {
  signal?: AbortSignal
  /** How long to wait for the answer, in milliseconds. */
  timeoutMs?: number
}

const defaultTimeoutMs = 10_000

/** Frames that wait for their answers. */
export class Requests {
  private readonly waiting = new Map<number, Waiting>()
  // The sign-in has the first number.
  private lastId = 1

  get size(): number {
    return this.waiting.size
  }

  /** Sends a frame and waits for its answer, which is of the given case. Throws a ConnectError. */
  ask<C extends AnswerCase>(link: Link, kind: Ask, expected: C, { signal, timeoutMs = defaultTimeoutMs }: AskOptions = {}): Promise<ValueOf<C>> {
    const id = this.nextId()
    return new Promise((resolve, reject) => {
      const cancel = (): void => this.fail(id, new ConnectError('given up', Code.Canceled))
      if (signal?.aborted) {
        reject(new ConnectError('given up', Code.Canceled))
        return
      }
      const timer = setTimeout(() => this.fail(id, new ConnectError('no answer in time', Code.DeadlineExceeded)), timeoutMs)
      const done = (): void => {
        clearTimeout(timer)
        signal?.removeEventListener('abort', cancel)
      }
      this.waiting.set(id, {
        settle(answer) {
          done()
          // The case says which value it is, which a generic type cannot follow.
          if (answer.case === expected) (resolve as (value: unknown) => void)(answer.value)
          else if (answer.case === 'error') reject(refusalOf(answer.value))
          else reject(new ConnectError(`answered by ${answer.case ?? 'nothing known'}`, Code.Internal))
        },
        fail(error) {
          done()
          reject(error)
        },
      })
      signal?.addEventListener('abort', cancel)
      link.send({ id, kind })
    })
  }

  /** Takes an answer in; one that nobody waits for any more is dropped. */
  answer({ id, kind }: ServerFrame): void {
    const waiting = this.waiting.get(id)
    this.waiting.delete(id)
    waiting?.settle(kind)
  }

  /** Fails all that wait: their connection is over. */
  failAll(): void {
    for (const id of [...this.waiting.keys()]) this.fail(id, cutOff())
  }

  private fail(id: number, error: ConnectError): void {
    const waiting = this.waiting.get(id)
    this.waiting.delete(id)
    waiting?.fail(error)
  }

  private nextId(): number {
    this.lastId = this.lastId < 0x7fff_ffff ? this.lastId + 1 : 2
    return this.lastId
  }
}
