/** Blocks the event loop that it is called on for 1 s in every 2 s, by taking the processor. */
import { BLOCK_MICROS, burn } from "./responder.ts"

const EVERY_MILLIS = 2000

export const block = (): void => void setInterval(() => burn(BLOCK_MICROS), EVERY_MILLIS)
