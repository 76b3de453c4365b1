/**
 * Those who look at the page: what they are sent, and how many they are.
 *
 * There is one overview a second, made and written down once for all of them, and none while nobody looks. A viewer gets
 * the latest when its socket has room: one that reads slowly misses those between, and costs the host one overview. One
 * that takes nothing at all is cut off by the server's idle timeout, and is counted.
 */
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import * as Effect from "effect/Effect"
import * as Sse from "effect/encoding/Sse"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { Overview } from "../../domain/overview/Overview.ts"
import { SessionLayer } from "../../services/SessionLayer.ts"
import { NoticeLog } from "../log/NoticeLog.ts"
import { turns } from "../system/Turns.ts"

const EVERY = "1 second"

const HEADERS = { "cache-control": "no-store" }

const toJson = Schema.encodeSync(Schema.fromJsonString(Schema.toCodecJson(Overview)))

const write = (event: string, data: string): string => Sse.encoder.write({ _tag: "Event", event, id: undefined, data })

export class Viewers {
  readonly #overview: Effect.Effect<Overview>
  readonly #log: NoticeLog
  #texts: Stream.Stream<string> = Stream.empty
  #now = 0
  #cut = 0

  private constructor(overview: Effect.Effect<Overview>, log: NoticeLog) {
    this.#overview = Effect.andThen(turns.next, overview)
    this.#log = log
  }

  static readonly make: Effect.Effect<Viewers, never, SessionLayer | Scope.Scope> = Effect.gen(function*() {
    const { overview } = yield* SessionLayer
    const viewers = new Viewers(overview, yield* NoticeLog.make)
    viewers.#texts = yield* Stream.fromEffectSchedule(viewers.#text, Schedule.spaced(EVERY)).pipe(
      // whoever comes has the latest at once, and whoever is late the latest only
      Stream.share({ capacity: 1, strategy: "sliding", replay: 1 })
    )
    return viewers
  })

  get #text(): Effect.Effect<string> {
    return Effect.map(
      this.#overview,
      (overview) =>
        write("overview", toJson(overview)) + write("viewers", JSON.stringify({ now: this.#now, cut: this.#cut }))
    )
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
