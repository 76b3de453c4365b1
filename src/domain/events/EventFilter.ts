/**
 * Which events a reader wants: those that fit all of a filter's fields.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import { mostLike } from "../options/Likeness.ts"
import { eitherOf } from "../options/OptionFields.ts"
import * as Handle from "../state/Handle.ts"
import { type EventKind, eventKinds, type HostEvent } from "./HostEvent.ts"

/**
 * What is wanted. An event that is about no application, or no worker, fits no filter that asks for one.
 *
 * @category models
 * @since 0.1.0
 */
export interface EventFilter {
  /** The application's name. */
  readonly app?: string | undefined
  /** The worker's number within its application (`1`), or its handle (`3.0`). */
  readonly worker?: string | undefined
  readonly kinds?: ReadonlyArray<EventKind> | undefined
}

const subjectOf = (kind: string): string => kind.slice(0, kind.indexOf("-"))

/**
 * What kinds of events are about: the first word of their names, which stands for all of them.
 *
 * @category constants
 * @since 0.1.0
 */
export const eventSubjects: ReadonlyArray<string> = [...new Set(eventKinds.map(subjectOf))]

/**
 * Reads kinds and subjects, with commas between them; or says in a sentence which is neither.
 *
 * @category decoding
 * @since 0.1.0
 */
export const kindsOf = (text: string): Result.Result<ReadonlyArray<EventKind>, string> => {
  const kinds = new Set<EventKind>()
  for (const wanted of text.split(",").map((word) => word.trim())) {
    const found = eventKinds.filter((kind) => kind === wanted || subjectOf(kind) === wanted)
    if (found.length === 0) {
      const meant = mostLike(wanted, [...eventSubjects, ...eventKinds])
      return Result.fail(
        `no kind of events is ${JSON.stringify(wanted.slice(0, 64))}; it must be ${eitherOf(eventSubjects)}, or one of `
          + `their kinds, such as "worker-up"${meant === undefined ? "" : `; did you mean "${meant}"?`}`
      )
    }
    for (const kind of found) kinds.add(kind)
  }
  return Result.succeed([...kinds])
}

/**
 * A filter as a function.
 *
 * @category combinators
 * @since 0.1.0
 */
export const compile = ({ app, kinds, worker }: EventFilter): (event: HostEvent) => boolean => {
  const wanted = kinds === undefined ? undefined : new Set(kinds)
  return (event) =>
    (wanted === undefined || wanted.has(event.kind))
    && (app === undefined || "app" in event && event.app === app)
    && (worker === undefined || isOf(event, worker))
}

const isOf = (event: HostEvent, worker: string): boolean =>
  "worker" in event && event.worker !== undefined
  && (String(event.worker) === worker
    || event.workerHandle !== undefined && Handle.format(event.workerHandle) === worker)
