/** Effect's `Socket` over sessions: the contract, held by Effect's own sockets too, and what is sessions' own. */
import { layer } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { type Role, socketCases } from "../support/socketCases.ts"
import { assertSaid } from "../support/socketServerCases.ts"
import * as SocketWorlds from "../support/SocketWorlds.ts"

for (const [name, world] of Object.entries(SocketWorlds.worlds)) {
  layer(world, { timeout: 30_000, excludeTestServices: true })(name, (it) => {
    for (const role of ["server", "client"] satisfies Array<Role>) {
      for (const { peer, role: only = role, says, title } of socketCases) {
        if (only !== role) continue
        it.effect(`as a ${role}: ${title}`, () =>
          Effect.gen(function*() {
            const said = yield* SocketWorlds.play(title, role, async (wire, dial, client) => {
              if (role === "client") return peer(await client)
              return peer(await dial(Number((await wire.hear(/^port \d+$/)).slice(5))))
            })
            assertSaid(said, role === "server" ? ["port", ...says] : says)
          }))
      }
    }
  })
}
