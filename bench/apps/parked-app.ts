/** An HTTP application whose worker exits when it is asked for `/die`. */
import * as Layer from "effect/Layer"
import { serve } from "../../src/layers/adapters/effect/SessionHttpServer.ts"

export default Layer.mergeAll(serve((request, response) => {
  if (request.url === "/die") process.exit(1)
  response.end("ok")
}))
