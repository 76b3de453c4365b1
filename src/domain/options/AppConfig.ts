/**
 * What an application's module is told by whoever attaches it.
 *
 * It goes to every worker, so it is made of what every thread can have: JSON values, and memory that threads share.
 */
import * as Schema from "effect/Schema"
import { isSharedArrayBuffer } from "node:util/types"

/** How deep lists and objects may be nested in an {@link AppConfig}: posting one must not exhaust a thread's stack. */
const DEEPEST = 64
/** What a right value is, worded to follow "must be". */
export const APP_CONFIG_RIGHT = `made of JSON values and shared memory, at most ${DEEPEST} levels deep`

const isPlain = (value: object): boolean => {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

/** The path of the first value that is not allowed; `undefined` if all are. */
const strayAt = (
  value: unknown,
  path: ReadonlyArray<string>,
  looked: Map<object, number>
): ReadonlyArray<string> | undefined => {
  switch (typeof value) {
    case "string":
    case "boolean":
      return undefined
    case "number":
      return Number.isFinite(value) ? undefined : path
    case "object": {
      if (value === null || isSharedArrayBuffer(value)) return undefined
      // an object that contains itself ends here too
      if (path.length >= DEEPEST || !(Array.isArray(value) || isPlain(value))) return path
      // an object that stands in several places is looked at once, unless it now stands deeper
      if ((looked.get(value) ?? -1) >= path.length) return undefined
      looked.set(value, path.length)
      for (const [key, inner] of Object.entries(value)) {
        if (inner === undefined && !Array.isArray(value)) continue
        const stray = strayAt(inner, [...path, key], looked)
        if (stray !== undefined) return stray
      }
      return undefined
    }
    default:
      return path
  }
}

/**
 * What the application's module is told: any JSON value.
 *
 * **Details**
 *
 * It is handed to every worker as it is, to in-process workers by reference. A `SharedArrayBuffer` may stand anywhere
 * in it and is then shared with all workers. `undefined` in an object is taken as "not given". Functions, symbols,
 * class instances, `NaN` and infinite numbers are refused, and so is an object that contains itself.
 */
export const AppConfig = Schema.Unknown.check(
  Schema.makeFilter((value) => {
    const stray = strayAt(value, [], new Map())
    return stray === undefined ? undefined : { path: stray, issue: APP_CONFIG_RIGHT }
  })
)
