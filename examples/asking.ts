// An app module that talks to another application of its host, over a session like any other, here as a Node stream.
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { text } from "node:stream/consumers"
import { SessionDuplex, Sessions } from "sluice/worker"

export default Layer.effectDiscard(Effect.gen(function*() {
  const sessions = yield* Sessions.Sessions
  const session = yield* sessions.connect("local://upper")
  const stream = new SessionDuplex.SessionDuplex(session)
  stream.end("hello\n")
  console.log(`from ${session.remote}: ${yield* Effect.promise(() => text(stream))}`)
}))
