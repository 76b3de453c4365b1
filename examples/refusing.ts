// An app module that refuses sessions: each worker takes two of an address at a time, and serves them as `upper.ts` does.
import { Sessions } from "sluice/worker"
import { upper } from "./upper.ts"

const LIMIT = 2

/** Sessions that are open, by their peers' addresses. */
const open = new Map<string, number>()

/** The address without its port; another worker of the host has a name of its own. */
const addressOf = ({ remote }: Sessions.SessionOffer): string => remote.replace(/:\d+$/, "")

const count = (address: string, more: number): void => {
  open.set(address, (open.get(address) ?? 0) + more)
}

const refuse = (offer: Sessions.SessionOffer): string | undefined =>
  (open.get(addressOf(offer)) ?? 0) < LIMIT ? undefined : `${LIMIT} sessions of ${addressOf(offer)} are open`

const accept = (session: Sessions.Session): void => {
  const address = addressOf(session)
  count(address, 1)
  upper(session)
  const handler = session.handler
  session.handler = {
    ...handler,
    closed: (session, reset) => {
      count(address, -1)
      handler?.closed?.(session, reset)
    }
  }
}

export default Sessions.layerAccept(accept, { refuse })
