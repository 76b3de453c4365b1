/**
 * A run of random requests to the page's port of a host with workers: half of them have the token, and half of them are as
 * nobody should send them. Then what is left of a host that has answered all that.
 */
import * as Http from "node:http"
import * as DashboardCalls from "./DashboardCalls.ts"
import * as DashboardFuzz from "./DashboardFuzz.ts"
import * as Random from "./random.ts"

export interface Target {
  readonly port: number
  readonly token: string
  /** Where the application is served. */
  readonly served: string
}

const AT_ONCE = 24
/** Requests between two looks at what there is. */
const LOOK_EVERY = 100
const MOST_FAULTS = 10
/** Milliseconds for workers that are on their way, and between two looks at them. */
const SETTLED_WITHIN = 60_000
const LOOK_AFTER = 20

interface Worker {
  readonly handle: string
  /** Its number. */
  readonly worker: number
  readonly state: string
  readonly successor: unknown
}

interface Seen {
  readonly workers: ReadonlyArray<Worker>
  readonly imbalances: ReadonlyArray<string>
  readonly listeners: ReadonlyArray<{ readonly imbalances: ReadonlyArray<string> }>
}

/** Asks over a connection of its own: one that is kept may be the oldest of too many, which gives way. */
const request = (url: string, method: string, headers: Http.OutgoingHttpHeaders, body = "") =>
  new Promise<{ readonly status: number; readonly text: string }>((resolve, reject) => {
    const asked = Http.request(url, { method, headers, agent: false }, (response) => {
      let text = ""
      response.setEncoding("utf8").on("data", (chunk: string) => void (text += chunk))
      response.on("end", () => resolve({ status: response.statusCode!, text })).on("error", reject)
    })
    asked.on("error", reject).end(body)
  })

/** Asks as the page does. */
const asker = ({ port, token }: Target) => async <A>(method: string, path: string, body?: unknown): Promise<A> => {
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" }
  const sent = body === undefined ? "" : JSON.stringify(body)
  const { status, text } = await request(`http://127.0.0.1:${port}${path}`, method, headers, sent)
  if (status >= 300) throw new Error(`${method} ${path}: ${status} ${text}`)
  return (text === "" ? undefined : JSON.parse(text)) as A
}

/** The status of an answer of the application; 0 where there is none. */
const visit = ({ served }: Target): Promise<number> => request(served, "GET", {}).then(({ status }) => status, () => 0)

type Handled = { readonly handle: string }

/** What there is to name in requests. */
const look = async (ask: ReturnType<typeof asker>): Promise<DashboardCalls.Known> => {
  const { workers } = await ask<Seen>("GET", "/v1/overview")
  const { sessions } = await ask<{ readonly sessions: ReadonlyArray<Handled> }>("GET", "/v1/sessions?limit=20")
  const rules = await ask<ReadonlyArray<Handled>>("GET", "/v1/rules")
  const handles = (all: ReadonlyArray<Handled>) => all.map(({ handle }) => handle)
  return {
    app: ["http", "0"],
    worker: handles(workers),
    deletable: handles(workers.filter(({ worker }) => worker > 0)),
    session: handles(sessions),
    rule: handles(rules).slice(0, 20)
  }
}

/** Sends so many requests, while clients are served; how often each status was the answer, and what was wrong. */
export const send = async (target: Target, requests: number, seed: number) => {
  const { port, token } = target
  const ask = asker(target)
  const random = Random.make(seed)
  const statuses = new Map<string, number>()
  const faults: Array<string> = []
  let sent = 0
  let known = await look(ask)
  const sender = async (): Promise<void> => {
    while (sent < requests && faults.length < MOST_FAULTS) {
      if (sent++ % LOOK_EVERY === 0) {
        known = await look(ask)
        // sessions to be ended; what refuses them is part of the run
        await visit(target)
      }
      const call = random(2) === 0 ? DashboardCalls.call(random, token, known) : undefined
      const bytes = call?.bytes ?? DashboardFuzz.request(random)
      const answer = await DashboardFuzz.send(port, bytes)
      const [, status = "none"] = /^HTTP\/1\.1 (\d{3})/.exec(answer) ?? []
      const name = `${status}${call === undefined ? "" : call.isForeign ? " foreign" : " token"}`
      statuses.set(name, (statuses.get(name) ?? 0) + 1)
      const fault = call === undefined ? DashboardFuzz.fault(bytes, answer) : DashboardCalls.fault(call, answer)
      if (fault !== undefined) faults.push(fault)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, sender))
  return { sent, statuses, faults }
}

/** Takes back what was asked of the host, and waits until it serves with two workers or more; what it is like then. */
export const settle = async (target: Target) => {
  const ask = asker(target)
  for (const { handle } of await ask<ReadonlyArray<Handled>>("GET", "/v1/rules")) {
    await ask("DELETE", `/v1/rules/${handle}`)
  }
  for (const source of await ask<ReadonlyArray<string>>("GET", "/v1/denied")) {
    await ask("DELETE", `/v1/denied?source=${encodeURIComponent(source)}`)
  }
  const isUp = ({ state, successor }: Worker) => state === "RUNNING" && successor === null
  const end = performance.now() + SETTLED_WITHIN
  for (;;) {
    const { imbalances, listeners, workers } = await ask<Seen>("GET", "/v1/overview")
    if (workers.length < 2) await ask("POST", "/v1/apps/http/workers", {})
    else if (workers.every(isUp) || performance.now() > end) {
      const served = await Promise.all(Array.from({ length: 2 * workers.length }, () => visit(target)))
      return {
        down: workers.filter((worker) => !isUp(worker)),
        imbalances: [...imbalances, ...listeners.flatMap((listener) => listener.imbalances)],
        unserved: served.filter((status) => status !== 200).length,
        workers: workers.length
      }
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_AFTER))
  }
}
