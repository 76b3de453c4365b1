/**
 * Those who look at the page: what they are sent, and how many they are.
 *
 * There is one overview a second, and one at once when something befalls a worker, made and written down once for all of
 * them, and none while nobody looks. A viewer gets the latest when its socket has room: one that reads slowly misses those
 * between, and costs the host one overview. One that takes nothing at all is cut off by the server's idle timeout, and is
 * counted.
 */
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import * as Effect from "effect/Effect"
import * as Sse from "effect/encoding/Sse"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { Overview } from "../../domain/overview/Overview.ts"
import { SessionLayer } from "../../services/SessionLayer.ts"
import { NoticeLog } from "../log/NoticeLog.ts"
import { turns } from "../system/Turns.ts"

/** Between two overviews, and the least where something befalls a worker meanwhile. */
const EVERY = "1 second"
const LEAST = "400 millis"

/** What a viewer should see at once. */
const BEFALLS = ["worker-behind", "worker-congested", "worker-gone"] as const

const HEADERS = { "cache-control": "no-store" }

const toJson = Schema.encodeSync(Schema.fromJsonString(Schema.toCodecJson(Overview)))

const write = (event: string, data: string): string => Sse.encoder.write({ _tag: "Event", event, id: undefined, data })

export class Viewers {
  readonly #host: SessionLayer["Service"]
  readonly #log: NoticeLog
  #texts: Stream.Stream<string> = Stream.empty
  #now = 0
  #cut = 0

  private constructor(host: SessionLayer["Service"], log: NoticeLog) {
    this.#host = host
    this.#log = log
  }

  static readonly make: Effect.Effect<Viewers, never, SessionLayer | Scope.Scope> = Effect.gen(function*() {
    const viewers = new Viewers(yield* SessionLayer, yield* NoticeLog.make)
    // whoever comes has the latest at once, and whoever is late the latest only
    viewers.#texts = yield* Stream.share(viewers.#all, { capacity: 1, strategy: "sliding", replay: 1 })
    return viewers
  })

  get #overview(): Effect.Effect<Overview> {
    return Effect.andThen(turns.next, this.#host.overview)
  }

  /** One overview after the other, as texts, without an end. */
  get #all(): Stream.Stream<string> {
    return Stream.paginate(
      undefined,
      (last: Overview | undefined) =>
        Effect.map(Effect.andThen(last === undefined ? Effect.void : this.#pause(last), this.#overview), (overview) => {
          const viewers = JSON.stringify({ now: this.#now, cut: this.#cut })
          return [[write("overview", toJson(overview)) + write("viewers", viewers)], Option.some(overview)] as const
        })
    )
  }

  /** Until there is to be another overview. */
  #pause({ events }: Overview): Effect.Effect<void> {
    const something = this.#host.events({ after: events[0]?.serial, filter: { kinds: BEFALLS } })
    const early = Effect.andThen(Effect.sleep(LEAST), Stream.runDrain(Stream.take(something, 1)))
    return Effect.raceFirst(Effect.sleep(EVERY), early)
  }

  /** One overview, for whoever asks for JSON. */
  get once(): Effect.Effect<HttpServerResponse.HttpServerResponse> {
    return Effect.map(
      this.#overview,
      (overview) => HttpServerResponse.text(toJson(overview), { contentType: "application/json", headers: HEADERS })
    )
  }

  /** One a second, as server-sent events, for as long as the viewer stays. */
  live(request: HttpServerRequest): HttpServerResponse.HttpServerResponse {
    const { socket } = NodeHttpServerRequest.toIncomingMessage(request)
    const stay = Effect.acquireRelease(
      Effect.sync(() => {
        this.#now++
        socket.on("timeout", this.#tellOfCut)
      }),
      () =>
        Effect.sync(() => {
          this.#now--
          socket.off("timeout", this.#tellOfCut)
        })
    )
    const texts = Stream.unwrap(Effect.as(stay, this.#texts))
    return HttpServerResponse.stream(Stream.encodeText(texts), { contentType: "text/event-stream", headers: HEADERS })
  }

  readonly #tellOfCut = (): void => {
    this.#cut++
    this.#log.tell({
      level: "Warn",
      text: "a viewer of the page was cut off: it did not take what was sent to it",
      kind: "dashboard-viewer"
    })
  }
}
