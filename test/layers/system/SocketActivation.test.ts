import { assert, describe, it } from "@effect/vitest"
import * as SocketActivation from "../../../src/layers/system/SocketActivation.ts"

/** A number that no descriptor has here. */
const MANY = 1024
const PID = 42

const faultsOf = (environment: NodeJS.ProcessEnv): ReadonlyArray<string> =>
  SocketActivation.read(environment, PID).faults

describe("socket activation", () => {
  it("takes its variables out of the environment, whomever they are for", () => {
    for (const pid of [PID, 1]) {
      const environment = { LISTEN_PID: String(pid), LISTEN_FDS: "0", LISTEN_FDNAMES: "a", OTHER: "stays" }
      SocketActivation.read(environment, PID)
      assert.deepStrictEqual(environment as NodeJS.ProcessEnv, { OTHER: "stays" })
    }
  })

  it("leaves sockets alone that are for another process, and says what is in the way", () => {
    assert.deepStrictEqual(faultsOf({}), [])
    for (const [meant, pid] of [["1", "1"], ["(none is named)", undefined]] as const) {
      assert.deepStrictEqual(faultsOf({ LISTEN_FDS: "1", ...(pid !== undefined && { LISTEN_PID: pid }) }), [
        `LISTEN_FDS is for process ${meant}, and this is process 42: begin a command that stands in front of it with exec`
      ])
    }
  })

  it("believes no number that is none", () => {
    for (const count of ["", "0", "-1", "1x", "01", "1025", "99999999999999999999", "1e3"]) {
      assert.deepStrictEqual(faultsOf({ LISTEN_PID: "42", LISTEN_FDS: count }), [
        `LISTEN_FDS is ${JSON.stringify(count)}, and not a number from 1 to 1024`
      ])
    }
  })

  it("says of each descriptor that can't be served why, with its name", () => {
    const faults = faultsOf({
      LISTEN_PID: "42",
      LISTEN_FDS: String(MANY),
      LISTEN_FDNAMES: `${":".repeat(MANY - 2)}:web`
    })
    assert.include(faults, `descriptor ${MANY + 1} ("unknown") is not open`)
    assert.include(faults, `descriptor ${MANY + 2} ("web") is not open`)
  })
})
