/**
 * The way of logs, metrics and traces to their collectors: an HTTP client for each, which gives up in bounded time.
 *
 * The exporters of Effect wait for an answer however long it takes, try again as long as a collector says, and have as many
 * requests under way as there is to be sent. Here each export has its time, with all its tries, and no more than
 * {@link MOST} are under way. One that has failed is a defect, which the exporters don't try again: they keep nothing and
 * send nothing of that signal for a minute. So a collector that is down, slow or full costs the host neither memory nor
 * time.
 *
 * That a collector does not take something is told once, and once more when it takes everything again.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Headers from "effect/http/Headers"
import * as HttpClient from "effect/http/HttpClient"
import type { HttpClientError } from "effect/http/HttpClientError"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as References from "effect/References"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import * as SystemError from "../../domain/net/SystemError.ts"
import type { OtlpDestination, Signal } from "../../domain/options/OtelVariables.ts"

/** Exports of a signal that may be under way. */
const MOST = 8

/** Tries after the first one, and the milliseconds before the first of them; those before each further one are double. */
const RETRIES = 3
const FIRST_RETRY = 500

/** The longest time for which a collector may ask to be left alone, in milliseconds. */
const LONGEST_REST = 3_600_000

/** Answers after which the standard has a client try again. */
const PASSING: ReadonlyArray<number> = [429, 502, 503, 504]

/** Why something was not taken. */
interface Failure {
  readonly why: string
  /** For how long the collector asks to be left alone, in milliseconds. */
  readonly rest: number | undefined
  readonly isPassing: boolean
}

/** The error of the system behind an error of `fetch`. */
const systemErrorOf = (error: unknown): unknown => {
  let cause = error
  while (cause instanceof Error && SystemError.codeOf(cause) === "" && cause.cause !== undefined) cause = cause.cause
  return cause
}

const whyOf = (error: HttpClientError): string => {
  const cause = systemErrorOf(error.reason)
  switch (SystemError.kindOf(cause)) {
    case "ConnectionRefused":
      return "nobody listens there"
    case "NameUnknown":
    case "NameLater":
      return "there is no such host"
    default:
      return cause instanceof Error && cause !== error.reason ? cause.message : "the connection broke"
  }
}

const failureOf = (error: HttpClientError, now: number): Failure => {
  const { response } = error
  if (response === undefined) return { why: whyOf(error), rest: undefined, isPassing: true }
  const { headers, status } = response
  const asked = headers["retry-after"] === undefined ? undefined : Headers.parseRetryAfter(headers["retry-after"])
  const rest = asked === undefined || Result.isFailure(asked)
    ? undefined
    : Math.min(LONGEST_REST, Duration.toMillis(Headers.retryAfterDelay(asked.success, now)))
  return { why: `it answers with status ${status}`, rest, isPassing: PASSING.includes(status) && rest === undefined }
}

/** Without what the exporter has its own lines say. */
const tell = Effect.provideService(References.CurrentLogAnnotations, {})

export class Collectors {
  /** The signals that are not taken, and by whom. */
  readonly #failing = new Map<Signal, string>()

  /** A client for a signal. */
  client(signal: Signal, { timeout, url }: OtlpDestination): (client: HttpClient.HttpClient) => HttpClient.HttpClient {
    const { origin } = new URL(url)
    let underWay = 0
    let restUntil = -Infinity
    return HttpClient.transform((send, request) => {
      // of the latest try, when the time is over
      let latest: Failure = { why: `no answer in ${timeout} ms`, rest: undefined, isPassing: true }
      const once = send.pipe(
        Effect.flatMap(HttpClientResponse.filterStatusOk),
        Effect.tap((response) => Stream.runDrain(response.stream)),
        Effect.catch((error) =>
          Effect.flatMap(Clock.currentTimeMillis, (now) => Effect.fail(latest = failureOf(error, now)))
        )
      )
      const exported = once.pipe(
        Effect.retry({
          while: ({ isPassing }) => isPassing && !this.#failing.has(signal),
          schedule: Schedule.jittered(Schedule.exponential(FIRST_RETRY)),
          times: RETRIES
        }),
        Effect.timeoutOrElse({
          duration: timeout,
          orElse: () => Effect.fail(latest)
        }),
        Effect.tap(() => this.#taken(signal, origin)),
        Effect.tapError(({ rest, why }) =>
          Effect.flatMap(Clock.currentTimeMillis, (now) => {
            restUntil = now + (rest ?? 0)
            return this.#notTaken(signal, origin, why)
          })
        ),
        // nobody reads more than that it was taken
        Effect.as(HttpClientResponse.fromWeb(request, new Response())),
        Effect.orDie
      )
      return Effect.flatMap(Clock.currentTimeMillis, (now) => {
        if (now < restUntil) return Effect.die(`${origin} has asked to be left alone`)
        if (underWay >= MOST) {
          return Effect.andThen(
            this.#notTaken(signal, origin, `it has not answered ${MOST} exports yet`),
            Effect.die("too many exports")
          )
        }
        underWay++
        return Effect.ensuring(exported, Effect.sync(() => underWay--))
      })
    })
  }

  #isFailing(origin: string): boolean {
    return [...this.#failing.values()].includes(origin)
  }

  #notTaken(signal: Signal, origin: string, why: string): Effect.Effect<void> {
    const known = this.#isFailing(origin)
    this.#failing.set(signal, origin)
    return known
      ? Effect.void
      : tell(Effect.logWarning(
        `telemetry: ${origin} does not take ${signal}: ${why}; what it does not take is dropped, and it is tried again `
          + "after a minute"
      ))
  }

  #taken(signal: Signal, origin: string): Effect.Effect<void> {
    if (!this.#failing.delete(signal)) return Effect.void
    return this.#isFailing(origin)
      ? Effect.void
      : tell(Effect.logInfo(`telemetry: ${origin} takes ${signal} again`))
  }
}
