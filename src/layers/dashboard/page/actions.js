/**
 * What can be done: each by a request, after a question that says what it does and which command does the same.
 */
import { ask, token } from "./live.js"
import { make, say, set } from "./pictures.js"

const id = (name) => document.getElementById(name)

const dialog = {
  open(title, body, buttons) {
    say(id("dialog-title"), title)
    id("dialog-body").replaceChildren(...body)
    id("dialog-buttons").replaceChildren(...buttons)
    say(id("dialog-result"), "")
    if (!id("dialog").open) id("dialog").showModal()
  },
  tell(level, text) {
    set(id("dialog-result"), "data-level", level)
    say(id("dialog-result"), text)
  },
  close: () => id("dialog").close()
}

export const button = (text, pressed, kind = "") =>
  make("button", { type: "button", class: kind, onclick: pressed }, text)

const cancel = (text = "Cancel") => button(text, dialog.close)

/** A word for a shell. */
const quoted = (text) => /^[\w./:@-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`

const command = (...words) => `sluice ${words.map(quoted).join(" ")}`

const path = (...parts) => `/v1/${parts.map(encodeURIComponent).join("/")}`

/** Everything that can be done, as data: what is asked, the command, the request, and what is said when it is done. */
export const acts = {
  reload: ({ name }) => ({
    title: `Reload ${name}`,
    what:
      "Its workers are replaced by new starts, one after the other, which load its modules anew. No session is lost.",
    command: command("reload", name),
    request: ["POST", `${path("apps", name)}/reload`],
    button: "Reload",
    done: ({ millis, workers }) => `${workers} workers were replaced in ${millis} ms`
  }),
  add: ({ name }) => ({
    title: `Add a worker to ${name}`,
    what: "It joins the listeners of the application.",
    command: command("worker", "add", name),
    request: ["POST", `${path("apps", name)}/workers`],
    body: {},
    button: "Add a worker",
    done: ({ handle }) => `worker ${handle} was added`
  }),
  restart: ({ app, handle, worker }) => ({
    title: `Restart worker ${worker} of ${app}`,
    what: "Its next start comes up beside it and takes its place; its sessions may finish, up to the drain timeout.",
    command: command("worker", "restart", handle),
    request: ["POST", `${path("workers", handle)}/restart`],
    button: "Restart",
    done: () => "it was restarted"
  }),
  restartNow: ({ app, handle, sessions, worker }) => ({
    title: `Restart worker ${worker} of ${app} now`,
    what: `It is ended at once, and its ${sessions.now} sessions with it, except those that are parked.`,
    command: command("worker", "restart", handle, "--now"),
    request: ["POST", `${path("workers", handle)}/restart?now=true`],
    button: "Restart now",
    ends: true,
    done: () => "it was restarted"
  }),
  drain: ({ app, handle, worker }) => ({
    title: `Drain worker ${worker} of ${app}`,
    what: "It gets no new sessions, and is deleted when those that it has have ended, or the drain timeout is over.",
    command: command("worker", "delete", handle),
    request: ["DELETE", path("workers", handle)],
    button: "Drain",
    ends: true,
    done: () => "it has finished, and was deleted"
  }),
  unlisten: ({ endpoint, handle }) => ({
    title: `Close the listener ${endpoint}`,
    what: "No worker listens there any more. Sessions that are established go on.",
    command: command("listener", "close", handle),
    request: ["DELETE", path("listeners", handle)],
    button: "Close the listener",
    ends: true,
    done: () => "it was closed"
  }),
  closeSession: ({ handle }) => ({
    title: `Close session ${handle}`,
    what: "What was written is still sent; then its connection is closed.",
    command: command("session", "close", handle),
    request: ["DELETE", path("sessions", handle)],
    button: "Close the session",
    ends: true,
    done: () => "it was closed"
  }),
  resetSession: ({ handle }) => ({
    title: `Reset session ${handle}`,
    what: "Its peer is shown a reset; what was not sent is lost.",
    command: command("session", "reset", handle),
    request: ["DELETE", `${path("sessions", handle)}?how=reset`],
    button: "Reset the session",
    ends: true,
    done: () => "it was reset"
  })
}

/** Asks for the token; succeeds when there is one, or the reader wants none. */
export const askForToken = (why) =>
  new Promise((resolve) => {
    const input = make("input", { id: "token", type: "password", autocomplete: "off", spellcheck: "false" })
    const take = () => {
      if (input.value.trim() === "") return
      token.put(input.value.trim())
      dialog.close()
    }
    input.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return
      event.preventDefault()
      take()
    })
    dialog.open("The host's token", [
      make("p", {}, `${why}.`),
      make(
        "label",
        { for: "token" },
        "Its start has printed it, as the end of a URL, unless it was given one. It stays in this tab."
      ),
      input
    ], [cancel(), button("Use it", take, "does")])
    id("dialog").addEventListener("close", () => resolve(token.get() !== undefined), { once: true })
    input.focus()
  })

/** Does it, and tells how it went. */
const run = async (act, pressed) => {
  pressed.disabled = true
  dialog.tell("", "under way…")
  try {
    const answer = await ask(...act.request, act.body)
    dialog.tell("ok", `Done: ${act.done(answer ?? {})}.`)
    id("dialog-buttons").replaceChildren(cancel("Close"))
    id("dialog-buttons").firstElementChild.focus()
  } catch (error) {
    if (error.status === 401) {
      token.forget()
      if (await askForToken(error.message)) confirm(act)
      return
    }
    dialog.tell("bad", error.message)
    pressed.disabled = false
  }
}

/** Asks whether it is to be done. */
export const confirm = async (act) => {
  if (token.get() === undefined && !(await askForToken("To do something, this page needs the host's token"))) return
  const cancels = cancel()
  const does = button(act.button, () => run(act, does), act.ends ? "ends" : "does")
  dialog.open(act.title, [
    make("p", {}, act.what),
    make("p", { class: "dim" }, "The same on the command line:"),
    make("pre", {}, act.command)
  ], [cancels, does])
  // what ends sessions is not done by a key that was meant for something else
  const first = act.ends ? cancels : does
  first.focus()
}

export { cancel, dialog }
