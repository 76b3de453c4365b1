// A Fastify app, as it is: the default export, and no `listen`.
import Fastify from "fastify"
import { threadId } from "node:worker_threads"

const app = Fastify()

app.get("/", async () => ({ hello: "from Fastify", thread: threadId }))
app.post<{ Body: { readonly words: string } }>("/shout", async ({ body }) => body.words.toUpperCase())

export default app
