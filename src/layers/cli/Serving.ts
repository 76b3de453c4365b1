/**
 * A host with one application, from its start to the end of its last session: what `sluice serve` and `sluice proxy` do once
 * they know their settings. Its modules, and those of the host, are loaded by no other command.
 */
import * as Console from "effect/Console"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Endpoint from "../../domain/net/Endpoint.ts"
import { MAX_SESSIONS } from "../../domain/options/AdmissionOptions.ts"
import * as WorkerCount from "../../domain/options/WorkerCount.ts"
import * as Notice from "../../domain/report/Notice.ts"
import { Certificates } from "../../services/Certificates.ts"
import { type Application, type AttachExtras, SessionLayer } from "../../services/SessionLayer.ts"
import type { SessionRules } from "../../services/SessionRules.ts"
import { Takeover, type TakeoverError } from "../../services/Takeover.ts"
import * as ControlPath from "../control/ControlPath.ts"
import * as ControlServer from "../control/ControlServer.ts"
import * as Health from "../control/Health.ts"
import type { OwnPortError } from "../control/OwnPort.ts"
import * as Scrape from "../control/Scrape.ts"
import * as Dashboard from "../dashboard/Dashboard.ts"
import * as LogStyle from "../log/LogStyle.ts"
import * as NoticeLog from "../log/NoticeLog.ts"
import * as Descriptors from "../system/Descriptors.ts"
import * as Garbage from "../system/Garbage.ts"
import { Inherited } from "../system/InheritedSockets.ts"
import { fromEnvironment, ServiceManager } from "../system/ServiceManager.ts"
import * as Telemetry from "../telemetry/Telemetry.ts"
import * as Complaint from "./Complaint.ts"
import * as ServiceStatus from "./ServiceStatus.ts"
import type * as Settings from "./Settings.ts"
import { Signals } from "./Signals.ts"
import * as TlsFiles from "./TlsFiles.ts"
import * as Watch from "./Watch.ts"
import { plural } from "./Words.ts"

/** The application could not be attached. */
export class NotAttached extends Schema.TaggedError<NotAttached>()("NotAttached", { detail: Schema.String }) {
  override get message(): string {
    return this.detail
  }
}

/** Time beyond the drain timeout after which a drain that has not ended is given up. */
const SLACK = Duration.seconds(1)

/** Replaces the certificates that came from files with what is in the files now, whenever it is asked to. */
const readCertificates = Effect.fnUntraced(function*(
  { handle, name }: Application,
  pairs: ReadonlyArray<TlsFiles.Pair>,
  signal: Effect.Effect<void>
) {
  const certificates = yield* Certificates
  const entries = yield* certificates.of(handle)
  const replace = Effect.fnUntraced(function*(pair: TlsFiles.Pair, index: number) {
    yield* certificates.replace(entries[index]!.handle, yield* TlsFiles.readPair(pair))
    return 1
  })
  return yield* signal.pipe(
    Effect.andThen(Effect.forEach(pairs, (pair, index) =>
      replace(pair, index).pipe(
        Effect.catch(({ message }) => Effect.as(NoticeLog.write(Notice.certificateStays(name, message)), 0))
      ))),
    Effect.flatMap((replaced) =>
      NoticeLog.write(Notice.certificatesRead(name, replaced.filter((one) => one > 0).length, pairs.length))
    ),
    Effect.forever
  )
})

/** Reloads the application whenever it is asked to. How that went is in the log. */
const reload = Effect.fnUntraced(function*({ handle }: Application, signal: Effect.Effect<void>) {
  const sessions = yield* SessionLayer
  return yield* signal.pipe(
    Effect.andThen(Effect.ignore(sessions.reload(handle))),
    Effect.forever
  )
})

/** Below this many files and sockets, the default for the most sessions is worth a warning, too. */
const FEW_DESCRIPTORS = 4096

/** Warns when more sessions are allowed than this process can have sockets; of the default, only where those are few. */
const warnOfDescriptors = (maxSessions: number): Effect.Effect<void> =>
  Effect.suspend(() => {
    const limit = Descriptors.limit()
    if (maxSessions <= limit || (maxSessions === MAX_SESSIONS && limit >= FEW_DESCRIPTORS)) return Effect.void
    return Effect.logWarning(
      `${maxSessions} sessions are allowed, but the system allows this process ${limit} open files and sockets: `
        + `raise that limit ("ulimit -n", or LimitNOFILE of a systemd unit), or lower --max-sessions`
    )
  })

/** Warns of sockets that this process was started with and that nobody serves: whoever connects there waits. */
const warnOfUnserved = Effect.gen(function*() {
  const { faults, free } = yield* Inherited
  for (const fault of faults) yield* Effect.logWarning(`not served: ${fault}`)
  for (const { descriptor, endpoint, name } of free) {
    yield* Effect.logWarning(
      `not served: no listener has asked for ${
        Endpoint.format(endpoint)
      }, where this process was started with a socket `
        + `(descriptor ${descriptor}, ${JSON.stringify(name)}); connections wait there`
    )
  }
})

/** The application that is served. */
export interface Served {
  /** The URL of its module. */
  readonly url: string
  readonly extras: AttachExtras
  /** Whether a change of the files that it was loaded from reloads it. */
  readonly watches: boolean
}

/** Milliseconds between two tries for a port of a host that is followed. */
const PORT_RETRY = 100

/** Opens a port of the host's own, for as long as the scope. */
const openPort = Effect.fnUntraced(function*(
  port: Layer.Layer<never, OwnPortError, SessionLayer | SessionRules>,
  scope: Scope.Scope
) {
  const open = Layer.build(port).pipe(Scope.provide(scope))
  // a host before this one has the port until it has been followed
  const later = open.pipe(Effect.retry(Schedule.spaced(PORT_RETRY)), Effect.forkScoped)
  yield* (yield* Takeover).follows ? later : open
})

/** Starts what is served. The ports for health, metrics and the page are open as long as their scope. */
const start = Effect.fnUntraced(function*(
  settings: Settings.Resolved<unknown>,
  { extras, url, watches }: Served,
  control: string,
  ports: Scope.Scope
) {
  const sessions = yield* SessionLayer
  yield* Layer.build(ControlServer.layer(control))
  const takeover = yield* Takeover
  if (settings.health !== undefined) yield* openPort(Health.layer(settings.health), ports)
  if (settings.metrics !== undefined) yield* openPort(Scrape.layer(settings.metrics), ports)
  if (settings.dashboard !== undefined) yield* openPort(Dashboard.layer(settings.dashboard), ports)
  const { pairs } = settings
  const signals = yield* Signals
  const hangup = pairs.length === 0 ? undefined : yield* signals.hangup
  const reloads = yield* signals.reload
  const watch = watches ? yield* Watch.make : undefined
  // who has saved a file waits for the new code, also where a connection is kept
  const options = watches
    ? { ...settings.options, worker: { handOver: 0, ...settings.options.worker } }
    : settings.options
  const application = yield* sessions.attach(options, { _tag: "Url", url }, { ...extras, loaded: watch?.loaded }).pipe(
    Effect.mapError((error) => new NotAttached({ detail: Complaint.ofAttach(error, settings.decoded) }))
  )
  if (hangup !== undefined) yield* Effect.forkScoped(readCertificates(application, pairs, hangup))
  yield* Effect.forkScoped(reload(application, reloads))
  const { apps } = yield* sessions.report
  const report = apps.find(({ index }) => index === application.index)
  const listeners = report?.listeners ?? []
  const { admission, worker: { kind }, workers } = settings.decoded
  yield* warnOfDescriptors(admission.maxSessions)
  yield* warnOfUnserved
  const byNeed = typeof workers === "number" ? "" : `, ${WorkerCount.format(workers)} by need`
  const where = `(${plural(report?.workers.length ?? 0, `${kind} worker`)}${byNeed}), control at ${control}`
  for (const { endpoint, scopes } of listeners) {
    const scope = scopes.includes("global") ? "" : " in local scope only, which no socket leads to"
    yield* Console.log(`sluice: ${application.name} listening on ${endpoint}${scope} ${where}`)
  }
  if (listeners.length === 0) yield* Effect.logInfo(`${application.name} runs and listens on nothing ${where}`)
  if (watch !== undefined) yield* watch.begin(application)
  yield* takeover.up
  return application
})

/**
 * Serves until a signal comes or another host has taken over, then drains; or until the application has been detached.
 * What is left is ended when the scope closes.
 */
const serve = Effect.fnUntraced(function*(
  settings: Settings.Resolved<unknown>,
  served: Served,
  control: string,
  signal: Effect.Effect<NodeJS.Signals>
) {
  const status = yield* ServiceStatus.make
  const { sessions } = status
  const signalled = Effect.map(signal, (received) => ({ received }))
  const takeover = yield* Takeover
  const ports = yield* Scope.fork(yield* Effect.scope)
  const taken = Effect.map(takeover.over, ({ pid }) => ({ pid }))
  // a start that was cut short has nothing to drain except what it has so far
  const detached = Effect.flatMap(
    Effect.provideService(start(settings, served, control, ports), SessionLayer, sessions).pipe(
      Effect.tap(status.serving)
    ),
    ({ gone, name }) => Effect.as(gone, `${name} is detached: there is nothing left to serve`)
  )
  const end = yield* Effect.raceAllFirst([detached, signalled, taken])
  if (typeof end === "string") return yield* Effect.logInfo(end)
  if ("pid" in end) {
    yield* status.followed(end.pid)
    yield* Scope.close(ports, Exit.void)
  } else yield* status.stopping
  yield* Effect.logInfo(
    "pid" in end
      ? `process ${end.pid} has taken over: finishing what is left here`
      : `${end.received}: stopping; send it once more to end at once`
  )
  yield* sessions.drain.pipe(
    Effect.timeoutOrElse({
      duration: Duration.sum(Duration.millis(settings.decoded.worker.drainTimeout), SLACK),
      orElse: () => Effect.logWarning("sessions did not end within the drain timeout")
    })
  )
  // before this process ends, which a service manager would take for the end of the service
  if ("pid" in end) yield* status.told
})

/** The session layer to serve with. */
export type HostLayer = Layer.Layer<SessionLayer | SessionRules | Certificates | Takeover, TakeoverError>

/**
 * Serves the application of a module as the settings say until a signal comes, and then drains; or until it is
 * detached.
 */
export const run = Effect.fnUntraced(function*(
  host: HostLayer,
  settings: Settings.Resolved<unknown>,
  served: Served
) {
  Garbage.tune()
  const control = settings.control ?? (yield* ControlPath.defaultPath)
  const signal = yield* (yield* Signals).ending
  const managed = Effect.gen(function*() {
    const manager = yield* fromEnvironment(process.env)
    const running = serve(settings, served, control, signal)
    yield* Effect.provideService(Effect.scoped(running), ServiceManager, manager)
  })
  yield* Effect.scoped(managed).pipe(
    Effect.provide(Layer.provideMerge(
      Telemetry.layer(host, { serviceName: settings.decoded.name }),
      LogStyle.layer(settings.log)
    ))
  )
}, Effect.scoped)
