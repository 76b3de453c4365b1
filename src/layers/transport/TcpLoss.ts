/** Why a connection broke, in a sentence. */
const sentences: Readonly<Record<string, string>> = {
  ECONNRESET: "the peer reset the connection",
  EPIPE: "the peer has closed the connection",
  ETIMEDOUT: "the peer did not answer any more"
}

export const sentence = (error: NodeJS.ErrnoException): string => sentences[error.code ?? ""] ?? error.message

/** Why it ended without an error, and not in order. */
export const GIVEN_UP = "the connection was given up"
