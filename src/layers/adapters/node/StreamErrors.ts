/** The errors of a stream, or a socket, over a session: those that Node's sockets have, with a cause in a sentence. */
import * as Os from "node:os"
import type { Session } from "../../../services/Sessions.ts"

const { ECANCELED, ECONNRESET, EPIPE } = Os.constants.errno

const failure = (syscall: "read" | "write", code: string, errno: number, detail: string): NodeJS.ErrnoException =>
  Object.assign(new Error(`${syscall} ${code}`, { cause: detail }), { errno: -errno, code, syscall })

/**
 * The error of a stream, or a socket, whose session is gone: `ECONNRESET`, or `EPIPE` for a write that comes too late.
 * Its message is Node's, and its `cause` says in a sentence why.
 *
 * @category accessors
 * @since 0.1.0
 */
export const lost = (syscall: "read" | "write", { reset }: Session): NodeJS.ErrnoException =>
  reset !== undefined
    ? failure(syscall, "ECONNRESET", ECONNRESET, reset)
    : syscall === "write"
    ? failure(syscall, "EPIPE", EPIPE, "the session is closed")
    : failure(syscall, "ECONNRESET", ECONNRESET, "the session is closed")

/** The error of a write that waited when its socket was destroyed. */
export const canceled = (): NodeJS.ErrnoException =>
  failure("write", "ECANCELED", ECANCELED, "the socket was destroyed before all of it was written")
