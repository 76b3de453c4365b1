/** Effect's `SocketServer` over sessions: the contract, held by Effect's own server too, and what is sessions' own. */
import { layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { assertSaid, serverCases } from "../support/socketServerCases.ts"
import * as SocketWorlds from "../support/SocketWorlds.ts"

for (const [name, world] of Object.entries(SocketWorlds.worlds)) {
  layer(world, { timeout: 30_000, excludeTestServices: true })(name, (it) => {
    for (const { peer, says, title } of serverCases) {
      it.effect(title, () =>
        Effect.gen(function*() {
          const said = yield* SocketWorlds.play(title, "servers", (wire, dial) => peer(dial, wire))
          assertSaid(said, says)
        }))
    }
  })
}
