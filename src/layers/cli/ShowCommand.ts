/** `sluice show …`: looks into a running host (W21). */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as AddressPattern from "../../domain/net/AddressPattern.ts"
import * as Report from "../../domain/report/Report.ts"
import { shownStates } from "../../domain/state/SessionState.ts"
import { type ControlError, sessionLimit, type SessionQuery } from "../../services/ControlApi.ts"
import * as ControlClient from "../control/ControlClient.ts"
import * as CommandInput from "./CommandInput.ts"
import * as ShowApp from "./ShowApp.ts"
import * as ShowConnects from "./ShowConnects.ts"
import * as ShowListeners from "./ShowListeners.ts"
import * as ShowLocal from "./ShowLocal.ts"
import * as ShowMq from "./ShowMq.ts"
import * as ShowSegments from "./ShowSegments.ts"
import * as ShowSessions from "./ShowSessions.ts"
import type * as Table from "./Table.ts"
import * as Words from "./Words.ts"

type Format<A> = (value: A, look: Table.Look) => string

const { control, json, verbose } = CommandInput
const flags = { verbose, json, control }

interface Given {
  readonly verbose: boolean
  readonly json: boolean
  readonly control: Option.Option<string>
}

/** Asks the host and prints what it says. */
const show = Effect.fnUntraced(function*<A, E>(
  given: Given,
  ask: (path: string) => Effect.Effect<A, E>,
  format: Format<A>
) {
  const answer = yield* ask(yield* CommandInput.pathOf(given.control))
  const width = yield* CommandInput.width
  yield* Console.log(given.json ? Words.json(answer) : format(answer, { verbose: given.verbose, width }))
})

/** A table without arguments of its own. */
const table = <Name extends string, A>(
  name: Name,
  description: string,
  ask: (path: string) => Effect.Effect<A, ControlError>,
  format: Format<A>
) => Command.make(name, flags, (given) => show(given, ask, format)).pipe(Command.withDescription(description))

const app = Command.make(
  "app",
  {
    app: CommandInput.app.pipe(Argument.optional),
    ...flags
  },
  ({ app, ...given }) =>
    Option.isNone(app)
      ? show(given, ControlClient.report, ShowApp.format)
      : show(
        given,
        (path) => ControlClient.ask(path, (client) => client.apps.get({ params: { app: app.value } })),
        ShowApp.formatOne
      )
).pipe(Command.withDescription("Show applications, their workers and their listeners; without a name, all of them"))

const listeners = table(
  "listeners",
  "Show listeners: where they listen, who serves them, and what they refused",
  (path) =>
    Effect.map(
      ControlClient.askPages(path, (client, after) => client.listeners.list({ query: { after } })),
      (pages) => pages.flatMap(({ listeners }) => listeners)
    ),
  ShowListeners.format
)

const connects = table(
  "connects",
  "Show connects that are under way",
  (path) =>
    Effect.map(
      ControlClient.askPages(path, (client, after) => client.host.connects({ query: { after } })),
      (pages) => pages.flatMap(({ connects }) => connects)
    ),
  ShowConnects.format
)

const local = table(
  "local",
  "Show listeners, sessions and connects in local scope",
  (path) =>
    Effect.map(
      ControlClient.askPages(path, (client, after) => client.host.locals({ query: { after } })),
      (pages): Report.LocalsReport => ({
        listeners: pages.flatMap(({ listeners }) => listeners),
        sessions: pages.flatMap(({ sessions }) => sessions),
        connects: pages.flatMap(({ connects }) => connects)
      })
    ),
  ShowLocal.format
)

const segments = table(
  "segments",
  "Show the segments of workers, and who allocates from them",
  (path) =>
    Effect.map(
      ControlClient.askPages(path, (client, after) => client.host.segments({ query: { after } })),
      (pages) => pages.flatMap(({ managers }) => managers)
    ),
  ShowSegments.format
)

const mq = table(
  "mq",
  "Show the message queues of workers: for index queue, IO ring and control ring, how many slots are in use and how "
    + "many there are; Highest has the most that were ever in use, in the same order",
  (path) =>
    Effect.map(
      ControlClient.askPages(path, (client, after) => client.host.queues({ query: { after } })),
      (pages) => pages.flatMap(({ queues }) => queues)
    ),
  ShowMq.format
)

const optionally = <A>(flag: Flag.Flag<A>): Flag.Flag<A | undefined> =>
  flag.pipe(Flag.optional, Flag.map(Option.getOrUndefined))

const checked = (name: string, metavar: string, description: string, is: (text: string) => boolean, right: string) =>
  optionally(
    Flag.String(name).pipe(
      Flag.withDescription(description),
      Flag.withMetavar(`<${metavar}>`),
      Flag.filter(is, () => right)
    )
  )

const address = (name: string, end: string) =>
  checked(
    name,
    "address",
    `Only those whose ${end} is this: a host (10.0.0.7, ::1, example.com, or the name of a local endpoint) whatever `
      + "the port, a host and a port (10.0.0.7:443, [::1]:443) whatever the transport, or a whole URI "
      + "(tcp://10.0.0.7:443, local://billing). Names are not resolved",
    Schema.is(AddressPattern.Text),
    AddressPattern.ADDRESS_PATTERN_RIGHT
  )

const oneOf = <A extends string>(name: string, all: ReadonlyArray<A>, description: string) =>
  optionally(Flag.Literals(name, all).pipe(Flag.withDescription(description)))

/** As many sessions as are asked for, page by page. */
const allSessions = Effect.fnUntraced(function*(
  path: string,
  { after, limit = sessionLimit.default, ...filter }: SessionQuery
) {
  const page = (after: string | undefined, limit: number) =>
    ControlClient.ask(path, (client) => client.sessions.list({ query: { ...filter, after, limit } }))
  const first = yield* page(after, limit)
  const sessions = [...first.sessions]
  let { next } = first
  while (next !== undefined && sessions.length < limit) {
    const another: Report.SessionsReport = yield* page(next, limit - sessions.length)
    sessions.push(...another.sessions)
    next = another.next
  }
  // sessions have come and gone meanwhile: on the last page the count is what was listed
  const all: Report.SessionsReport = next === undefined
    ? { total: sessions.length, sessions }
    : { ...(first.total === undefined ? {} : { total: first.total }), sessions, next }
  return all
})

const sessions = Command.make(
  "sessions",
  {
    filter: {
      app: optionally(
        Flag.String("app").pipe(
          Flag.withDescription(
            "Only those of this application, by its name, or its index when no application has that name"
          ),
          Flag.withMetavar("<app>")
        )
      ),
      worker: checked(
        "worker",
        "worker",
        "Only those of this worker: its number within its application (1), or its handle (3.0)",
        Schema.is(Report.WorkerFilter),
        "a worker's number within its application, or its handle, such as \"1\" or \"3.0\""
      ),
      listener: checked(
        "listener",
        "listener",
        "Only those that came from this listener, by its handle (2.0)",
        Schema.is(Report.ListenerFilter),
        "a listener's handle, such as \"2.0\""
      ),
      state: oneOf("state", shownStates, "Only those in this state"),
      transport: oneOf(
        "transport",
        Report.SessionTransport.literals,
        "Only those over connections (tcp), or between workers of this host (local)"
      ),
      local: address("local", "own end"),
      remote: address("remote", "other end"),
      search: optionally(
        Flag.String("search").pipe(
          Flag.withDescription(
            "Only those that have this text in their handle, application and worker (\"http 3\"), addresses or state"
          ),
          Flag.withMetavar("<text>")
        )
      ),
      sort: oneOf(
        "sort",
        Report.SessionSorting.literals,
        "Oldest first, or those first that have the most: bytes in and out, bytes that wait for the worker (unread) or the "
          + "peer (unsent), moves; or by the alphabet. All are sorted, also those that are not shown"
      ),
      reversed: optionally(Flag.Boolean("reversed").pipe(Flag.withDescription("The other way round"))),
      limit: optionally(
        Flag.Int("limit").pipe(
          Flag.withDescription(`Show at most this many; default: ${sessionLimit.default}`),
          Flag.withMetavar("<number>"),
          Flag.filter(
            (limit) => limit >= 1 && limit <= sessionLimit.max,
            () => `a number from 1 to ${sessionLimit.max}`
          )
        )
      ),
      after: checked(
        "after",
        "next",
        "Go on from where another answer in the same order has ended: its `next` with --json",
        Schema.is(Report.SessionPage.fields.after),
        "the `next` of an answer with --json"
      )
    },
    ...flags
  },
  ({ filter, ...given }) => show(given, (path) => allSessions(path, filter), ShowSessions.format)
).pipe(
  Command.withDescription("Show sessions; with several filters, those that match all of them"),
  Command.withShortDescription("Show sessions"),
  Command.withExamples([
    { command: "sluice show sessions --app http --worker 1", description: "Sessions of worker 1 of http" },
    { command: "sluice show sessions --remote 10.0.0.7 --verbose", description: "Everything about a peer's sessions" },
    { command: "sluice show sessions --sort in --limit 10", description: "The ten that have sent the most" }
  ])
)

export const command = Command.make("show").pipe(
  Command.withDescription("Look into a running host"),
  Command.withSubcommands([app, listeners, sessions, connects, local, segments, mq])
)
