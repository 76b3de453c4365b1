/** What is counted of a listener for whoever looks, and is part of no sum of the ledger. */
export class Marks {
  /** How many offers were made, and how many of them taken back because they were not claimed in time. */
  offers = 0
  revoked = 0
  /** The most sessions that there were at one time, and the most held connections. */
  sessionsHighest = 0
  heldHighest = 0

  /** An offer was made; there are so many sessions now. */
  offered(sessions: number): void {
    this.offers++
    if (sessions > this.sessionsHighest) this.sessionsHighest = sessions
  }

  /** A connection is held; there are so many now. */
  held(held: number): void {
    if (held > this.heldHighest) this.heldHighest = held
  }
}
