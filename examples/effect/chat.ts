// A chat over WebSocket. Each member is on the worker that has the member's connection, so the workers meet in a room:
// worker 0 keeps it, and every worker has a session to it, from thread to thread without a socket. What a member says
// goes to the room, and from there to all workers, which tell their members. Needs local scope as well as global scope.
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import * as Layer from "effect/Layer"
import * as PubSub from "effect/PubSub"
import * as Schedule from "effect/Schedule"
import * as Socket from "effect/socket/Socket"
import { SessionDatagrams, SessionHttpServer, Sessions } from "sluice/worker"

const room = "local://room"
const encoder = new TextEncoder()
const decoder = new TextDecoder()

const received = (session: Sessions.Session, take: (text: Uint8Array) => void): void => {
  for (let text = SessionDatagrams.receive(session); text !== undefined; text = SessionDatagrams.receive(session)) {
    take(text)
  }
}

/** A worker that can't keep up is disconnected and joins again; it has missed what was said in the meantime. */
const Room = Layer.effectDiscard(Effect.gen(function*() {
  const sessions = yield* Sessions.Sessions
  if (sessions.worker.worker !== 0) return
  const workers = new Set<Sessions.Session>()
  const tellAll = (text: Uint8Array): void => {
    for (const worker of workers) if (SessionDatagrams.send(worker, text) !== "sent") worker.abort()
  }
  yield* sessions.listen(room, (session) => {
    workers.add(session)
    session.handler = {
      readable: () => received(session, tellAll),
      ended: () => session.close(),
      closed: () => workers.delete(session)
    }
    received(session, tellAll)
  })
}))

const Chat = HttpRouter.use(Effect.fnUntraced(function*(router) {
  const sessions = yield* Sessions.Sessions
  const number = sessions.worker.worker
  // a member that can't keep up misses the oldest messages that it has not read
  const said = yield* PubSub.sliding<string>(256)
  const tellMembers = (text: Uint8Array): void => void PubSub.publishUnsafe(said, decoder.decode(text))
  const joined = yield* Deferred.make<void>()
  let session: Sessions.Session | undefined

  const stay = Effect.gen(function*() {
    const joining = session = yield* sessions.connect(room)
    yield* Deferred.succeed(joined, undefined)
    yield* Effect.callback<void>((left) => {
      const leave = () => left(Effect.void)
      joining.handler = { readable: () => received(joining, tellMembers), ended: leave, closed: leave }
      received(joining, tellMembers)
      if (joining.closed) leave()
    })
  })
  const inRoom = Effect.scoped(stay).pipe(Effect.ignore, Effect.repeat(Schedule.spaced("50 millis")))
  // all members leave a worker that is being drained; those that connect again get another worker
  yield* Effect.forkScoped(Effect.raceFirst(inRoom, sessions.draining))

  const member = Effect.gen(function*() {
    const request = yield* HttpServerRequest.HttpServerRequest
    const socket = yield* request.upgrade
    const pull = yield* Socket.readerString(socket)
    const writer = yield* socket.writer
    const messages = yield* PubSub.subscribe(said)
    yield* Deferred.await(joined)
    yield* writer.write(`welcome to worker ${number}`)
    yield* Effect.forkScoped(Effect.forever(Effect.flatMap(PubSub.take(messages), writer.write)))
    const listening = Effect.forever(Effect.map(pull, (texts) => {
      for (const text of texts) {
        if (session !== undefined) SessionDatagrams.send(session, encoder.encode(`worker ${number}> ${text}`))
      }
    }))
    yield* Effect.raceFirst(listening, sessions.draining)
  })
  const gone = HttpServerResponse.empty()
  yield* router.add("GET", "/chat", Effect.as(Effect.ignore(Effect.scoped(member)), gone))
}))

export default HttpRouter.serve(Layer.provideMerge(Chat, Room)).pipe(Layer.provide(SessionHttpServer.layer()))
