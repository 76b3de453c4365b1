/** Starting helper threads and hearing what became of them. */
import { Worker } from "node:worker_threads"

/** Starts a file next to this one; `execArgv` is emptied, else a thread takes over the test runner's loaders. */
export const start = (file: string, workerData: unknown): Worker =>
  new Worker(new URL(`./${file}`, import.meta.url), { workerData, execArgv: [] })

/** The one message that the thread posts, or its failure. */
export const result = <A>(worker: Worker): Promise<A> =>
  new Promise((resolve, reject) => {
    worker.once("message", resolve)
    worker.once("error", reject)
    worker.once("exit", (code) => reject(new Error(`a thread ended with ${code} and said nothing`)))
  })

/** Runs threads to their results; when one fails, the others are ended as well. */
export const run = async <A>(workers: ReadonlyArray<Worker>): Promise<Array<A>> => {
  try {
    return await Promise.all(workers.map((worker) => result<A>(worker)))
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()))
  }
}
