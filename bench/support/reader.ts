/**
 * Reads all sessions over and over, so many at a time: `reader.ts <control socket> <readers> <seconds>`. Prints how
 * often all were read, and how many sessions the last reading found.
 */
import * as Http from "node:http"

const [socketPath, readers, seconds] = [process.argv[2]!, Number(process.argv[3]), Number(process.argv[4])]
const agent = new Http.Agent({ keepAlive: true, maxSockets: readers })

interface Page {
  readonly sessions: ReadonlyArray<unknown>
  readonly next?: string
}

const page = (after: string | undefined): Promise<Page> =>
  new Promise((resolve, reject) => {
    const path = `/v1/sessions?limit=1000000${after === undefined ? "" : `&after=${after}`}`
    Http.get({ socketPath, path, agent }, (response) => {
      const chunks: Array<Buffer> = []
      response.on("data", (chunk: Buffer) => void chunks.push(chunk))
      response.on("end", () => resolve(JSON.parse(Buffer.concat(chunks).toString()) as Page))
    }).on("error", reject)
  })

const end = performance.now() + seconds * 1000
let readings = 0
let found = 0
const read = async (): Promise<void> => {
  while (performance.now() < end) {
    let count = 0
    let after: string | undefined
    do {
      const { next, sessions } = await page(after)
      count += sessions.length
      after = next
    } while (after !== undefined && performance.now() < end)
    if (after !== undefined) return
    readings++
    found = count
  }
}
await Promise.all(Array.from({ length: readers }, read))
agent.destroy()
console.log(JSON.stringify({ readings, found }))
