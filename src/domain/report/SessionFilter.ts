/**
 * Which sessions a filter lets pass: those that fit all of its fields.
 */
import * as AddressPattern from "../net/AddressPattern.ts"
import type * as Report from "./Report.ts"

/** What a filter looks at. */
export type Facts = Pick<
  Report.SessionReport,
  "handle" | "app" | "appIndex" | "worker" | "workerHandle" | "listener" | "state" | "transport" | "local" | "remote"
>

const isAny = (): boolean => true

const address = (text: string | undefined): (uri: string) => boolean => {
  if (text === undefined) return isAny
  const pattern = AddressPattern.parse(text)
  return (uri) => pattern !== undefined && AddressPattern.matches(pattern, uri)
}

const anything = (text: string | undefined): (session: Facts) => boolean => {
  const wanted = text?.toLowerCase() ?? ""
  if (wanted === "") return isAny
  const has = (text: string) => text.toLowerCase().includes(wanted)
  return ({ app, handle, local, remote, state, worker }) =>
    has(handle) || has(`${app} ${worker}`) || has(state) || has(remote) || has(local)
}

/**
 * A filter as a function. What is costly to check is checked last.
 */
export const compile = (filter: Report.SessionFilter): (session: Facts) => boolean => {
  const { appIndex, listener, state, transport, worker } = filter
  const isLocal = address(filter.local)
  const isRemote = address(filter.remote)
  const isFound = anything(filter.search)
  return (session) =>
    (appIndex === undefined || session.appIndex === appIndex)
    && (worker === undefined || session.workerHandle === worker || String(session.worker) === worker)
    && (listener === undefined || session.listener === listener)
    && (state === undefined || session.state === state)
    && (transport === undefined || session.transport === transport)
    && isLocal(session.local)
    && isRemote(session.remote)
    && isFound(session)
}
