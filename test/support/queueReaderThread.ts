/** A thread that reads one queue after the other, as it is told to. */
import type { MessagePort } from "node:worker_threads"
import { parentPort, receiveMessageOnPort } from "node:worker_threads"
import type * as Mq from "../../src/domain/memory/QueueMemory.ts"
import { QueueReader } from "./QueueReader.ts"
import * as Random from "./random.ts"

/** Blocks its loop now and then: before one look in `oneIn`, for less than `millis`. */
export interface Stall {
  readonly seed: number
  readonly oneIn: number
  readonly millis: number
}

export type Command =
  | {
    readonly _tag: "attach"
    readonly memory: Mq.QueueMemory
    readonly geometry: Mq.Geometry
    readonly port: MessagePort
  }
  | { readonly _tag: "read"; readonly max: number; readonly quiet: boolean }
  | { readonly _tag: "run"; readonly max: number; readonly keep: boolean; readonly stall: Stall | undefined }
  | { readonly _tag: "report" }

const still = new Int32Array(new SharedArrayBuffer(4))
let reader: QueueReader
let port: MessagePort | undefined
let handedOver = new Set<number>()

const attach = ({ geometry, memory, port: mine }: Extract<Command, { readonly _tag: "attach" }>): void => {
  port?.close()
  port = mine
  handedOver = new Set()
  const hear = (message: unknown): void => {
    if (message === 0) reader.wake()
    else handedOver.add((message as { readonly segment: number }).segment)
  }
  const receive = (segment: number): boolean => {
    for (let next; !handedOver.has(segment) && (next = receiveMessageOnPort(mine)) !== undefined;) {
      if (next.message !== 0) hear(next.message)
    }
    return handedOver.delete(segment)
  }
  reader = new QueueReader(memory, geometry, () => mine.postMessage(0), receive)
  mine.on("message", hear)
}

const pauseOf = (max: number, stall: Stall | undefined): () => number => {
  if (stall === undefined) return () => max
  const random = Random.make(stall.seed)
  return () => {
    if (random(stall.oneIn) === 0) Atomics.wait(still, 0, 0, random(stall.millis * 1000) / 1000)
    return 1 + random(max)
  }
}

const answer = (command: Command): unknown => {
  switch (command._tag) {
    case "attach":
      return attach(command)
    case "read":
      return reader.read(command.max, command.quiet)
    case "run":
      return reader.run(pauseOf(command.max, command.stall), command.keep)
    case "report": {
      // what was handed over without its message is still in the port
      receiveRest()
      return { report: reader.report(), unused: handedOver.size }
    }
  }
}

const receiveRest = (): void => {
  for (let next; (next = receiveMessageOnPort(port!)) !== undefined;) {
    if (next.message === 0) reader.wake()
    else handedOver.add(next.message.segment)
  }
}

parentPort!.on("message", (command: Command) => parentPort!.postMessage(answer(command)))
