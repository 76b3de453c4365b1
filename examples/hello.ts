// An app module: its default export, an Effect layer, is launched in every worker.
import { threadId } from "node:worker_threads"
import { SessionHttpServer } from "sluice/worker"

export default SessionHttpServer.serve((_request, response) => {
  response.end(`hello from thread ${threadId}\n`)
})
