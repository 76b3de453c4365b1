/**
 * An HTTP application: `/loop` is answered and then loops for ever; anything else takes `WORK_MICROS` of the processor.
 */
import type * as Http from "node:http"
import { serve } from "../../src/layers/adapters/effect/SessionHttpServer.ts"
import { handler } from "./http-handler.ts"
import { burn } from "./responder.ts"

const WORK_MICROS = Number(process.env["WORK_MICROS"] ?? 0)
const isOver = { value: false }

const loopForEver = (): void => {
  while (!isOver.value);
}

const answer: Http.RequestListener = (request, response) => {
  if (request.url === "/loop") setImmediate(loopForEver)
  else if (WORK_MICROS > 0) burn(WORK_MICROS)
  handler(request, response)
}

export default serve(answer)
