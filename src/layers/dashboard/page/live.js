/**
 * What comes from the host: an overview a second, as server-sent events, and answers to requests.
 *
 * `EventSource` sends no token, so the stream is read by `fetch`. When it ends, or nothing comes, it is asked for again, for
 * as long as the page is open.
 */

const TOKEN = "sluice-token"

/** Milliseconds between two tries, and after which a stream that says nothing is given up. */
const AGAIN = 1000
const SILENCE = 5000

/** The token: from the part of the URL behind `#`, which goes to nobody, and from then on from this tab's own store. */
export const token = {
  take() {
    const [, given] = /^#token=(.+)$/.exec(location.hash) ?? []
    if (given === undefined) return
    this.put(decodeURIComponent(given))
    history.replaceState(null, "", location.pathname)
  },
  get: () => sessionStorage.getItem(TOKEN) ?? undefined,
  put: (text) => sessionStorage.setItem(TOKEN, text),
  forget: () => sessionStorage.removeItem(TOKEN)
}

const headers = () => token.get() === undefined ? {} : { authorization: `Bearer ${token.get()}` }

/** What an answer that is no success says, in a sentence. */
const sentence = async (response) => {
  const said = await response.json().catch(() => ({}))
  return said.message ?? said._tag ?? `the host answers with status ${response.status}`
}

/** Asks for something: an answer's JSON, or an `Error` with a sentence, and the answer's `status`. */
export const ask = async (method, path, body) => {
  const json = body === undefined ? {} : { "content-type": "application/json" }
  const init = { method, headers: { ...headers(), ...json }, body: body && JSON.stringify(body) }
  const response = await fetch(path, init).catch(() => {
    throw new Error("the host does not answer")
  })
  if (!response.ok) throw Object.assign(new Error(await sentence(response)), { status: response.status })
  return response.status === 204 ? undefined : response.json().catch(() => undefined)
}

/** Events in a text that has come so far, and what is left of it: the beginning of another one. */
export const eventsIn = (text) => {
  const blocks = text.split("\n\n")
  const rest = blocks.pop()
  const events = blocks.map((block) => {
    const event = { kind: "message", data: "" }
    for (const line of block.split("\n")) {
      if (line.startsWith("event: ")) event.kind = line.slice("event: ".length)
      else if (line.startsWith("data: ")) event.data += line.slice("data: ".length)
    }
    return event
  })
  return { events: events.filter(({ data }) => data !== ""), rest }
}

/** Reads one stream to its end. */
const read = async (heard, stopped, beats) => {
  const response = await fetch("/v1/overview", {
    headers: { ...headers(), accept: "text/event-stream" },
    signal: stopped
  })
  if (!response.ok) throw Object.assign(new Error(await sentence(response)), { status: response.status })
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
  let text = ""
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return
    beats()
    const { events, rest } = eventsIn(text + value)
    text = rest
    for (const { data, kind } of events) heard(kind, JSON.parse(data))
  }
}

/** Goes on for as long as the page is open. `refused` is told of a token that is missing or wrong. */
export const follow = async (heard, refused) => {
  for (;;) {
    const stop = new AbortController()
    let silent = setTimeout(() => stop.abort(), SILENCE)
    const beats = () => {
      clearTimeout(silent)
      silent = setTimeout(() => stop.abort(), SILENCE)
    }
    try {
      await read(heard, stop.signal, beats)
    } catch (error) {
      if (error.status === 401) await refused(error.message)
    }
    clearTimeout(silent)
    await new Promise((resolve) => setTimeout(resolve, AGAIN))
  }
}
