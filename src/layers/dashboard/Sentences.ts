/**
 * Errors of the control API in words, for readers that don't have its schemas: a browser, `curl`. The JSON of an error has
 * what it is made of; here its sentence is added, as `message`.
 */
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { InvalidEvents, InvalidPage } from "../../services/ControlApi.ts"
import {
  NoSuchApp,
  NoSuchListener,
  NoSuchSession,
  NoSuchWorker,
  ReloadFailed,
  WorkerOperationFailed
} from "../../services/SessionLayer.ts"
import { NoSuchRule, NotDenied, RuleError } from "../../services/SessionRules.ts"

const decode = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Union([
  InvalidEvents,
  InvalidPage,
  NoSuchApp,
  NoSuchListener,
  NoSuchSession,
  NoSuchWorker,
  ReloadFailed,
  WorkerOperationFailed,
  NoSuchRule,
  NotDenied,
  RuleError
])))

const FAILED = 400

const text = new TextDecoder()

/** The same answer; one that tells of an error, with its sentence. */
export const worded = (response: HttpServerResponse.HttpServerResponse): HttpServerResponse.HttpServerResponse => {
  const { body, status } = response
  if (status < FAILED || body._tag !== "Uint8Array") return response
  const json = text.decode(body.body)
  return Option.match(decode(json), {
    onNone: () => response,
    onSome: ({ message }) => HttpServerResponse.jsonUnsafe({ ...JSON.parse(json), message }, { status })
  })
}
