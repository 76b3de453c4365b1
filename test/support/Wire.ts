/** Words between a test and what it tests, which may be on another thread. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { BroadcastChannel } from "node:worker_threads"

export class Wire {
  /** What the other end has said, in order. */
  readonly said: Array<string> = []
  readonly #channel: BroadcastChannel
  #onWord: (() => void) | undefined

  constructor(name: string) {
    this.#channel = new BroadcastChannel(name)
    this.#channel.addEventListener("message", (event) => {
      this.said.push((event as MessageEvent).data as string)
      this.#onWord?.()
    })
  }

  say(word: string): void {
    this.#channel.postMessage(word)
  }

  /** Calls for each word from now on. */
  listen(onWord: (word: string) => void): void {
    this.#onWord = () => {
      const word = this.said.pop()
      if (word !== undefined) onWord(word)
    }
  }

  close(): void {
    this.#channel.close()
  }

  /** Waits until the other end has said the word, at most 10 seconds. */
  async hear(word: string | RegExp): Promise<string> {
    const find = () => this.said.find((said) => typeof word === "string" ? said === word : word.test(said))
    for (let found = find();; found = find()) {
      if (found !== undefined) return found
      const failed = this.said.find((said) => said.startsWith("failed"))
      if (failed !== undefined) throw new Error(failed)
      let timer: NodeJS.Timeout | undefined
      await new Promise<void>((resolve, reject) => {
        this.#onWord = resolve
        timer = setTimeout(() => reject(new Error(`"${word}" was not said, but ${JSON.stringify(this.said)}`)), 10_000)
      }).finally(() => clearTimeout(timer))
    }
  }
}

export const open = (name: string): Effect.Effect<Wire, never, Scope.Scope> =>
  Effect.acquireRelease(Effect.sync(() => new Wire(name)), (wire) => Effect.sync(() => wire.close()))
