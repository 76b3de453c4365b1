// An Express app, as it is: the default export, and no `listen`.
import express from "express"
import { threadId } from "node:worker_threads"

const app = express()

app.get("/", (_request, response) => {
  response.json({ hello: "from Express", thread: threadId })
})
app.post("/shout", express.text(), (request, response) => {
  response.send(String(request.body).toUpperCase())
})

export default app
