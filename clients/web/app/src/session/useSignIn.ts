import { computed, shallowRef } from 'vue'
import { session } from '@app/api'

/** What a guest was about to do; the dialog says what an account is needed for. */
export type SignInReason = 'talk' | 'like' | 'live'

interface Question {
  reason?: SignInReason
  answer: (signedIn: boolean) => void
}

const question = shallowRef<Question>()

/** Asks a guest to sign in or up over the page, which stays as it is behind the dialog. */
export function useSignIn() {
  /** Answers the question that is open, and closes the dialog. */
  function settle(signedIn: boolean): void {
    const open = question.value
    question.value = undefined
    open?.answer(signedIn)
  }

  /** Resolves to true once the person is signed in (at once for those who are), to false when they would rather not. */
  async function ask(reason?: SignInReason): Promise<boolean> {
    if (session.isSignedIn.value) return true
    settle(false)
    // The dialog is part of the page, and a picture in full screen would hide it.
    if (document.fullscreenElement) await document.exitFullscreen().catch(() => undefined)
    return new Promise((answer) => (question.value = { reason, answer }))
  }

  return {
    ask,
    settle,
    isAsking: computed(() => question.value !== undefined),
    reason: computed(() => question.value?.reason),
  }
}
