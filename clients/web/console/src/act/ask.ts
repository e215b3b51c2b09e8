import type { Timestamp } from '@bufbuild/protobuf/wkt'
import { shallowRef } from 'vue'
import type { Span } from './until'

export interface ReasonField {
  label: string
  maxLength: number
  /** Where the words go, such as "shown to the user". */
  hint: string
  /** Words to take with one click. */
  presets?: readonly string[]
  value?: string
  /** Ends the test id, after the act's name; "reason" when unset. */
  id?: string
}

export interface Answer {
  reason: string
  until: Timestamp | undefined
  everywhere: boolean
}

/** One act, as it is put to the person who wants it: a single dialog, with all that the act needs in it. */
export interface Ask {
  /** Begins the test ids of its fields. */
  name: string
  title: string
  /** What follows from it. */
  text: string
  /** Words of other people that it is about. */
  quote?: string
  /** Label of the button that does it. */
  confirm: string
  danger?: boolean
  reason?: ReasonField
  /** Asks for how long, with these choices, of which `span` is chosen at first. */
  spans?: readonly Span[]
  span?: Span
  /** Asks whether it holds here or everywhere. */
  asksWhere?: boolean
  /** Does it and returns the sentence that says so. */
  run: (answer: Answer) => Promise<string>
}

export interface OpenAsk extends Ask {
  settle: (done: boolean) => void
}

const open = shallowRef<OpenAsk>()
export const openAsk = open

/** Puts an act to the reader. Resolves to whether it was done. */
export function ask(what: Ask): Promise<boolean> {
  open.value?.settle(false)
  return new Promise((resolve) => {
    open.value = {
      ...what,
      settle(done) {
        open.value = undefined
        resolve(done)
      },
    }
  })
}
