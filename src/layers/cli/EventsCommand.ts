/** `sluice events` and `sluice why`: what has happened in a running host, and what happens. */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as EventFilter from "../../domain/events/EventFilter.ts"
import { type EventPart, wholeFrom } from "../../domain/events/EventStore.ts"
import * as EventText from "../../domain/events/EventText.ts"
import { type HostEvent, ToldEvent } from "../../domain/events/HostEvent.ts"
import * as Story from "../../domain/events/Story.ts"
import * as AddressPattern from "../../domain/net/AddressPattern.ts"
import * as Report from "../../domain/report/Report.ts"
import type * as Handle from "../../domain/state/Handle.ts"
import { ControlError, type EventsQuery, InvalidEvents } from "../../services/ControlApi.ts"
import * as ControlClient from "../control/ControlClient.ts"
import * as CommandInput from "./CommandInput.ts"
import * as Words from "./Words.ts"

const { control } = CommandInput

/** Does something with each event as it comes. */
const forEach = Effect.fnUntraced(function*(
  path: string,
  query: EventsQuery,
  step: (event: ToldEvent) => Effect.Effect<void>
) {
  let last = query.after ?? 0
  const broken = () =>
    new ControlError({
      path,
      reason: "Failed",
      detail: `the host has ended its answer; when it is there again, go on with --since ${last}`
    })
  yield* ControlClient.ask(
    path,
    (client) =>
      Effect.flatMap(client.events.read({ query, headers: {} }), (events) =>
        events.pipe(
          Stream.runForEach((event) => {
            last = event.serial
            return step(event)
          }),
          Effect.mapError(broken)
        )),
    // an answer that goes on may be silent for as long as it likes
    { patient: query.follow === true }
  )
})

const toJson = Schema.encodeSync(Schema.toCodecJson(ToldEvent))

/** What stands between the time and the sentence: the application, and the worker of what is about one. */
const about = (event: HostEvent): string => {
  if (!("app" in event)) return "host"
  return event.kind.startsWith("worker-") && "worker" in event ? `${event.app} ${event.worker}` : event.app
}

/** Where sentences begin: behind the time. */
const MARGIN = 14

/** An event in lines: the time of day in UTC, what it is about, and what has happened. */
const shown = (event: ToldEvent, width: number): string => {
  const time = event.kind === "gap" ? "" : Words.clock(event.time)
  const what = `${event.kind === "gap" ? "" : `${about(event)}: `}${EventText.sentence(event)}`
  const lines = Words.folded(Words.printable(what), width - MARGIN)
  return `${time.padEnd(MARGIN)}${lines.join(`\n${" ".repeat(MARGIN)}`)}`
}

const optional = <A>(flag: Flag.Flag<A>): Flag.Flag<A | undefined> =>
  flag.pipe(Flag.optional, Flag.map(Option.getOrUndefined))

const isWorker = Schema.is(Report.WorkerFilter)

export const command = Command.make(
  "events",
  {
    follow: Flag.Boolean("follow").pipe(
      Flag.withAlias("f"),
      Flag.withDescription("Go on with what happens, until it is interrupted"),
      Flag.withDefault(false)
    ),
    app: optional(
      Flag.String("app").pipe(
        Flag.withDescription("Only those about this application, by its name or its index"),
        Flag.withMetavar("<app>")
      )
    ),
    worker: optional(
      Flag.String("worker").pipe(
        Flag.withDescription(
          "Only those about this worker: its number within its application (1), or its handle (3.0)"
        ),
        Flag.withMetavar("<worker>"),
        Flag.filter(
          isWorker,
          () => "a worker's number within its application, or its handle, such as \"1\" or \"3.0\""
        )
      )
    ),
    kind: optional(
      Flag.String("kind").pipe(
        Flag.withDescription(
          "Only those of these kinds, with commas between them: a kind (worker-up), or what kinds are about (worker)"
        ),
        Flag.withMetavar("<kinds>")
      )
    ),
    since: optional(
      Flag.Int("since").pipe(
        Flag.withDescription("Only those after the event with this serial number, as --json shows it"),
        Flag.withMetavar("<serial>"),
        Flag.filter((serial) => serial >= 0, () => "a serial number, from 0 on")
      )
    ),
    json: Flag.Boolean("json").pipe(Flag.withDescription("Print each as JSON on a line"), Flag.withDefault(false)),
    control
  },
  Effect.fnUntraced(function*({ app, control, follow, json, kind, since, worker }) {
    const kinds = kind === undefined ? undefined : EventFilter.kindsOf(kind)
    if (kinds?._tag === "Failure") return yield* new InvalidEvents({ detail: `--kind: ${kinds.failure}` })
    const path = yield* CommandInput.pathOf(control)
    const width = yield* CommandInput.width
    yield* forEach(
      path,
      { app, follow, kind, worker, after: since },
      (event) => Console.log(json ? Words.jsonLine(toJson(event)) : shown(event, width))
    )
  })
).pipe(
  Command.withDescription(
    "Print what has happened in a running host, as far as it is kept: some 10,000 events; times are in UTC. What peers "
      + "bring about often is counted, second by second"
  ),
  Command.withShortDescription("Print what has happened, and what happens"),
  Command.withExamples([
    { command: "sluice events -f --kind worker,session", description: "What happens to workers and sessions" },
    { command: "sluice events --kind session-refused --json", description: "Refusals, for a program" }
  ])
)

/** What a story is about: how it is named where there is none, and where the events about it are kept. */
export interface Subject {
  readonly called: string
  readonly part: EventPart
  readonly isAbout: (event: HostEvent) => boolean
}

/** The story of one thing, in lines that fit `width`. */
export const story = Effect.fnUntraced(function*(path: string, width: number, { called, isAbout, part }: Subject) {
  const events: Array<HostEvent> = []
  yield* forEach(path, { follow: false }, (event) =>
    Effect.sync(() => {
      if (event.kind !== "gap") events.push(event)
    }))
  const story = Story.of(events, isAbout)
  if (story.length > 0) return story.map((event) => shown(event, width))
  const oldest = wholeFrom(events, part)
  return [
    `nothing is known of ${called}${oldest === undefined ? "" : ` since ${Words.clock(oldest.time)} UTC`}: `
    + "what goes as it should has no events"
  ]
})

export const aboutSession = (session: Handle.SessionHandle): Subject => ({
  called: "this session",
  part: "sessions",
  isAbout: (event) => "session" in event && event.session === session
})

export const aboutWorker = (worker: Handle.WorkerHandle): Subject => ({
  called: "this worker",
  part: "load",
  isAbout: (event) => event.kind.startsWith("worker-") && "workerHandle" in event && event.workerHandle === worker
})

const aboutPeer = (peer: AddressPattern.AddressPattern): Subject => ({
  called: "such a connection",
  part: "sessions",
  isAbout: (event) => "peer" in event && event.peer !== undefined && AddressPattern.matches(peer, event.peer)
})

/** Prints a story. */
const tell = Effect.fnUntraced(function*(flag: Option.Option<string>, subject: Subject) {
  const path = yield* CommandInput.pathOf(flag)
  for (const lines of yield* story(path, yield* CommandInput.width, subject)) yield* Console.log(lines)
})

const session = Command.make(
  "session",
  {
    session: CommandInput.handle<Handle.SessionHandle>("session", "Handle of the session, as in show sessions"),
    control
  },
  ({ control, session }) => tell(control, aboutSession(session))
).pipe(Command.withDescription("What became of a session, and of its connection before and after"))

const worker = Command.make(
  "worker",
  { worker: CommandInput.handle<Handle.WorkerHandle>("worker", "Handle of the worker, as in show app"), control },
  ({ control, worker }) => tell(control, aboutWorker(worker))
).pipe(Command.withDescription("What became of a worker, over all its starts"))

const connection = Command.make(
  "connection",
  {
    peer: Argument.String("peer").pipe(
      Argument.withDescription("Its other end: a host, a host and a port, or a whole URI, as in show sessions"),
      Argument.filterMap(
        (text) => Option.fromUndefinedOr(AddressPattern.parse(text)),
        () => AddressPattern.ADDRESS_PATTERN_RIGHT
      )
    ),
    control
  },
  ({ control, peer }) => tell(control, aboutPeer(peer))
).pipe(Command.withDescription("What became of the connections from a peer"))

export const why = Command.make("why").pipe(
  Command.withDescription(
    "Tell the story of a session, a connection or a worker: why it waited, moved, was refused, ended or started again"
  ),
  Command.withShortDescription("Tell the story of a session, a connection or a worker"),
  Command.withSubcommands([session, connection, worker])
)
