/**
 * `GET /v1/events`: the events of a host as server-sent events.
 *
 * The answer takes events from the host's ring as fast as its reader takes them from the socket, a batch in a turn of the
 * loop, and holds no more than that. A reader that takes nothing is cut off by the server's idle timeout; with the
 * `Last-Event-ID` that browsers send by themselves it goes on where it was, and is told how many events it has missed.
 */
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import * as Effect from "effect/Effect"
import * as Sse from "effect/encoding/Sse"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as EventFilter from "../../domain/events/EventFilter.ts"
import { ToldEvent } from "../../domain/events/HostEvent.ts"
import { ControlApi, type EventsQuery, InvalidEvents } from "../../services/ControlApi.ts"
import { type EventsWanted, NoSuchApp, SessionLayer } from "../../services/SessionLayer.ts"
import { NoticeLog } from "../log/NoticeLog.ts"
import { turns } from "../system/Turns.ts"
import { find } from "./FindApp.ts"

/** Between two comments, which show that the host is there. */
const HEARTBEAT = "3 seconds"

/** Serial numbers, as they are written. */
const SERIAL = /^(?:0|[1-9]\d{0,14})$/

const toJson = Schema.encodeSync(Schema.fromJsonString(Schema.toCodecJson(ToldEvent)))

const write = (event: ToldEvent): string =>
  Sse.encoder.write({ _tag: "Event", event: "message", id: String(event.serial), data: toJson(event) })

/** The name of an application: one that is there, or one of which events are kept. */
const nameOf = Effect.fnUntraced(function*(host: SessionLayer["Service"], wanted: string) {
  const found = yield* Effect.option(find(host, wanted))
  if (found._tag === "Some") return found.value.name
  const past = host.events({ filter: { app: wanted }, follow: false })
  const known = yield* past.pipe(Stream.filter(({ kind }) => kind !== "gap"), Stream.take(1), Stream.runCount)
  return known > 0 ? wanted : yield* new NoSuchApp({ wanted })
})

/** What a request asks for. */
const wantedBy = Effect.fnUntraced(function*(
  host: SessionLayer["Service"],
  { after, app, follow, kind, worker }: EventsQuery,
  lastId: string | undefined
): Effect.fn.Return<EventsWanted, InvalidEvents | NoSuchApp> {
  if (lastId !== undefined && !SERIAL.test(lastId)) {
    return yield* new InvalidEvents({ detail: "Last-Event-ID is not the id of an event, which is a whole number" })
  }
  const kinds = kind === undefined ? Result.succeed(undefined) : EventFilter.kindsOf(kind)
  if (Result.isFailure(kinds)) return yield* new InvalidEvents({ detail: kinds.failure })
  return {
    after: lastId === undefined ? after : Number(lastId),
    follow,
    filter: { worker, kinds: kinds.success, app: app === undefined ? undefined : yield* nameOf(host, app) }
  }
})

/** Tells of readers that were cut off, since the server cuts them off without a word. */
const watch = (request: HttpServerRequest, { tell }: NoticeLog): void => {
  NodeHttpServerRequest.toIncomingMessage(request).socket.once("timeout", () =>
    tell({
      level: "Warn",
      text: "a reader of events was cut off: it did not take what was sent to it",
      kind: "events-reader"
    }))
}

export const layer = HttpApiBuilder.group(
  ControlApi,
  "events",
  Effect.fnUntraced(function*(handlers) {
    const host = yield* SessionLayer
    const notices = yield* NoticeLog.make
    return handlers.handleRaw("read", ({ headers, query, request }) =>
      Effect.gen(function*() {
        const wanted = yield* wantedBy(host, query, headers["last-event-id"])
        watch(request, notices)
        const events = host.events(wanted).pipe(
          Stream.mapArrayEffect((batch) => Effect.as(turns.next, [batch.map(write).join("")] as const))
        )
        const beats = Stream.map(Stream.tick(HEARTBEAT), () => ": the host is there\n\n")
        return HttpServerResponse.stream(
          Stream.encodeText(Stream.merge(events, beats, { haltStrategy: "left" })),
          { contentType: "text/event-stream", headers: { "cache-control": "no-store" } }
        )
      }))
  })
)
