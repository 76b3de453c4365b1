/**
 * Options of the event queue between the host and a worker.
 */
import * as Schema from "effect/Schema"
import { number } from "./OptionFields.ts"
import { GiB, KiB, MiB, SECOND } from "./OptionUnits.ts"

/**
 * The event queue of one worker, and the messages that wait for room in it.
 *
 * @category models
 * @since 0.1.0
 */
export const QueueOptions = Schema.Struct({
  /**
   * Slots of a worker's index queue, which bounds how many messages may wait in its event queue: a power of two from
   * 1 to 65536; 2048.
   */
  indexQueue: number({
    unit: "slots",
    min: 1,
    max: 65536,
    default: 2048,
    powerOfTwo: true,
    requirement: "M1",
    description: "Slots of a worker's index queue: how many messages may wait in its event queue"
  }),
  /**
   * Slots of a worker's IO ring, which bounds how many of those messages may be rx and tx events: a power of two from
   * 1 to 65536; 2048.
   */
  ioRing: number({
    unit: "slots",
    min: 1,
    max: 65536,
    default: 2048,
    powerOfTwo: true,
    requirement: "M1",
    description: "Slots of a worker's IO ring: how many of the waiting messages may be rx and tx events"
  }),
  /**
   * Slots of a worker's control ring, which bounds how many of those messages may be of all other kinds: a power of
   * two from 1 to 65536; 512.
   */
  controlRing: number({
    unit: "slots",
    min: 1,
    max: 65536,
    default: 512,
    powerOfTwo: true,
    requirement: "M1",
    description: "Slots of a worker's control ring: how many of the waiting messages may be of all other kinds"
  }),
  /** Time after which postponed messages are tried again without a signal from the worker: 0.1 ms to 10 s; 10 ms. */
  retryInterval: number({
    unit: "milliseconds",
    min: 0.1,
    max: 10 * SECOND,
    default: 10,
    requirement: "M4",
    description: "Time after which postponed messages are tried again without a signal from the worker"
  }),
  /** The most postponed messages that are delivered in one batch: 1 to 32; 32. */
  batch: number({
    unit: "messages",
    min: 1,
    max: 32,
    default: 32,
    requirement: "M4",
    description: "The most postponed messages that are delivered in one batch"
  }),
  /** Messages that may be postponed for one worker before it is declared unresponsive: 1 to 1048576; 65536. */
  postponedMessages: number({
    unit: "messages",
    min: 1,
    max: 1_048_576,
    default: 65536,
    requirement: "M9",
    description: "Messages that may be postponed for one worker before it is declared unresponsive"
  }),
  /** Bytes that may be postponed for one worker before it is declared unresponsive: 1 KiB to 1 GiB; 16 MiB. */
  postponedBytes: number({
    unit: "bytes",
    min: KiB,
    max: GiB,
    default: 16 * MiB,
    requirement: "M9",
    description: "Bytes that may be postponed for one worker before it is declared unresponsive"
  })
})
export type QueueOptions = typeof QueueOptions.Type

const SLOT_BYTES = { indexQueue: 4, ioRing: 16, controlRing: 512 }
const QUEUE_OVERHEAD = 64 * KiB

/**
 * How many bytes a first segment must have for an event queue: its slots in both directions (index 4 B, IO 16 B,
 * control 512 B each) and 64 KiB for headers and the first fifos.
 *
 * @category getters
 * @since 0.1.0
 */
export const queueSegmentSize = (queue: Pick<QueueOptions, "indexQueue" | "ioRing" | "controlRing">): number =>
  2 * (
      queue.indexQueue * SLOT_BYTES.indexQueue +
      queue.ioRing * SLOT_BYTES.ioRing +
      queue.controlRing * SLOT_BYTES.controlRing
    ) + QUEUE_OVERHEAD
