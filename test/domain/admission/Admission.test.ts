import { assert, describe, it } from "@effect/vitest"
import type { ListenerAdmission } from "../../../src/domain/admission/Admission.ts"
import * as Affinity from "../../../src/domain/admission/Affinity.ts"
import { HIGH, LOW } from "../../../src/domain/options/Priority.ts"
import * as Ledger from "../../../src/domain/state/Ledger.ts"
import { Desk, DeskWorker } from "../../support/AdmissionDesk.ts"

/** One rule: what happens, step by step, and what is done about it. */
interface Rule {
  readonly rule: string
  readonly options?: Partial<ListenerAdmission>
  /** Numbers of the workers that serve from the start on; 0 to 2 by default. */
  readonly workers?: ReadonlyArray<number>
  readonly steps: ReadonlyArray<readonly [what: string, done: string]>
}

/** Applies steps such as `arrive a b` or `congest 0` to a desk. Connections have letters, workers have numbers. */
const perform = (desk: Desk, workers: Map<string, DeskWorker>, step: string): void => {
  const [verb, ...names] = step.split(" ")
  const worker = (name: string): DeskWorker => workers.get(name)!
  for (const name of names) {
    switch (verb) {
      case "arrive":
        desk.arrive({ name })
        break
      case "high":
        desk.arrive({ name, rank: HIGH })
        break
      case "low":
        desk.arrive({ name, rank: LOW })
        break
      case "busy":
        worker(name).spare = 0
        break
      case "idle":
        worker(name).spare = 1
        desk.admit()
        break
      case "time":
        desk.pass(Number(name))
        break
      case "claim":
        desk.claim(name)
        break
      case "take":
        desk.offered.get(name)!.taken = true
        break
      case "free":
        desk.free(name)
        break
      case "past":
        desk.comePast(desk.stale.find(({ connection }) => connection.name === name)!)
        break
      case "gone":
        desk.go(name)
        break
      case "giveUp":
        desk.giveUp(name)
        break
      case "join":
        workers.set(name, new DeskWorker(Number(name)))
        desk.admission.seats.join(worker(name))
        desk.admit()
        break
      case "leave":
      case "restart":
        desk.leave(worker(name), verb === "restart")
        break
      case "congest":
        worker(name).congested = true
        break
      case "ease":
        worker(name).congested = false
        desk.admit()
        break
      case "settle":
        // room that the listener has not been told of yet
        worker(name).congested = false
        break
      case "drain":
        worker(name).running = false
        break
      case "none":
      case "growing":
      case "some":
        worker(name).memory = verb
        desk.admit()
        break
      case "app":
        desk.app.sessions += Number(name)
        desk.admit()
        break
      case "stop":
        desk.stop(name === "draining" ? "draining" : "no-worker")
        break
      default:
        throw new Error(`"${verb}" is no step`)
    }
  }
}

/** A queue stands before the one worker, which takes one session at a time: from 0 on, and at 60 it claims. */
const standing: ReadonlyArray<readonly [what: string, done: string]> = [
  ["arrive a", "a>0"],
  ["claim a", "a claimed"],
  ["arrive b c", "b held c held"],
  ["time 60", ""],
  ["free a", "b>0"],
  ["claim b", "b claimed"],
  ["time 50", ""],
  ["arrive d e", "d held e held"]
]
const oneAtATime = { maxSessionsPerWorker: 1, revokeAfter: 1000, sojournTarget: 0, slowStart: 0, holdTime: 300 }

const rules: ReadonlyArray<Rule> = [
  // ---- overload
  {
    rule:
      "X7 while connections wait, each worker has one offer of the listener at a time, and gets the next with its claim",
    workers: [0, 1],
    steps: [
      ["congest 0 1", ""],
      ["arrive a b c d", "a held b held c held d held"],
      ["ease 0 1", "a>0 b>1"],
      [
        "claim b",
        "b claimed c>1"
      ],
      ["claim a", "a claimed d>0"],
      ["arrive e f", "e>1 f>0"]
    ]
  },
  {
    rule: "X7 while a queue stands, the newest is served first, in turns with the first of those that came before it",
    options: oneAtATime,
    workers: [0],
    steps: [
      ...standing,
      ["arrive f", "f held"],
      ["free b", "f>0"],
      ["claim f", "f claimed"],
      ["free f", "c>0"],
      [
        "claim c",
        "c claimed"
      ],
      ["free c", "e>0"],
      ["claim e", "e claimed"],
      ["free e", "d>0"]
    ]
  },
  {
    rule: "X7 those that came before a queue stood wait for no less time",
    options: oneAtATime,
    workers: [0],
    steps: [...standing, ["time 100", "d refused hold-time e refused hold-time"], ["time 89", ""], [
      "time 1",
      "c refused hold-time"
    ]]
  },
  {
    rule: "X7 a connection that comes while a queue stands is held for the interval, and not for holdTime",
    options: oneAtATime,
    workers: [0],
    steps: [...standing, ["time 99", ""], ["time 1", "d refused hold-time e refused hold-time"], ["free b", "c>0"]]
  },
  {
    rule: "X7 a connection that came before a queue stood, and whose offer is taken back while it does, has holdTime",
    options: { ...oneAtATime, revokeAfter: 170 },
    workers: [0, 1],
    steps: [
      ["arrive a b c d", "a>0 b>1 c held d held"],
      ["time 60", ""],
      ["claim a", "a claimed"],
      ["time 50", ""],
      ["free a", "c>0"],
      ["claim c", "c claimed"],
      ["time 60", "b revoked b held"],
      ["time 100", ""],
      ["time 30", "d refused hold-time"],
      ["time 169", ""],
      ["time 1", "b refused hold-time"]
    ]
  },
  {
    rule: "X7 by the order oldest, a queue that stands changes nothing",
    options: { ...oneAtATime, held: "oldest" },
    workers: [0],
    steps: [...standing, ["time 100", ""], ["free b", "c>0"]]
  },
  {
    rule: "X7 a line in which nobody is served is no queue that stands: a worker that is away is waited for, in order",
    options: { holdTime: 5000, slowStart: 0 },
    workers: [0],
    steps: [
      ["arrive a", "a>0"],
      ["claim a", "a claimed"],
      ["drain 0", ""],
      ["arrive b c", "b held c held"],
      [
        "time 2000",
        ""
      ],
      ["arrive d", "d held"],
      ["time 500", ""],
      ["join 0", "b>0"],
      ["claim b", "b claimed c>0"],
      ["claim c", "c claimed d>0"]
    ]
  },
  {
    rule: "X7 what comes back is served before all others, also while a queue stands",
    options: { ...oneAtATime, revokeAfter: 20 },
    workers: [0],
    steps: [...standing, ["free b", "e>0"], ["time 20", "e revoked e held"], ["arrive f", "f held"], ["past e", "e>0"]]
  },
  {
    rule: "X7 a worker that has just started has few open offers, as long as others take what is beyond",
    options: { slowStart: 800 },
    workers: [0, 1],
    steps: [
      ["arrive a b", "a>0 b>1"],
      ["claim a b", "a claimed b claimed"],
      ["time 800", ""],
      ["join 2", ""],
      [
        "arrive c d e f g",
        "c>2 d>0 e>1 f>0 g>1"
      ],
      ["claim c", "c claimed"],
      ["arrive h i", "h>2 i>0"],
      ["time 4", ""]
    ]
  },
  {
    rule: "X7 a worker that has just started takes all that comes when no other worker does",
    options: { slowStart: 800, policy: "refuse" },
    workers: [0],
    steps: [["arrive a b c", "a>0 b>0 c>0"]]
  },
  // ---- classes
  {
    rule: "X7 of those that wait, the higher classes are served first, and each in its order",
    workers: [0],
    steps: [
      ["congest 0", ""],
      ["arrive a", "a held"],
      ["low b", "b held"],
      ["high c", "c held"],
      ["arrive d", "d held"],
      ["high e", "e held"],
      ["ease 0", "c>0"],
      ["claim c", "c claimed e>0"],
      ["claim e", "e claimed a>0"],
      ["claim a", "a claimed d>0"],
      ["claim d", "d claimed b>0"]
    ]
  },
  {
    rule: "X7 one that arrives does not wait for those of lower classes, and waits for those of higher ones",
    workers: [0],
    options: { maxSessionsPerWorker: 1, reserve: 1 },
    steps: [
      ["arrive a", "a>0"],
      ["claim a", "a claimed"],
      ["arrive b", "b held"],
      ["high c", "c>0"],
      ["high d", "d held"],
      ["low e", "e held"],
      ["claim c", "c claimed"],
      ["free c", "d>0"],
      ["claim d", "d claimed"],
      ["free d", ""],
      ["free a", "b>0"]
    ]
  },
  {
    rule: "X7 the highest class has reserve seats beyond each limit, and no other class has them",
    workers: [0],
    options: { maxSessions: 2, maxSessionsPerListener: 2, reserve: 1 },
    steps: [
      ["arrive a b c", "a>0 b>0 c refused host-limit"],
      ["low d", "d refused host-limit"],
      ["high e f", "e>0 f refused host-limit"]
    ]
  },
  {
    rule: "X7 the highest class waits where others are refused, and has reserve places more to wait",
    workers: [0],
    options: { policy: "refuse", holdMax: 0, reserve: 1 },
    steps: [
      ["congest 0", ""],
      ["arrive a", "a refused congested"],
      ["high b", "b held"],
      ["high c", "c refused hold-full"],
      ["ease 0", "b>0"]
    ]
  },
  {
    rule: "X7 a worker that has as much in hand as it may is passed over, but for reserve seats of the highest class",
    workers: [0, 1],
    options: { reserve: 1 },
    steps: [
      ["busy 0", ""],
      ["arrive a b", "a>1 b>1"],
      ["busy 1", ""],
      ["arrive c", "c held"],
      ["high d e", "d>0 e>1"],
      ["idle 0", ""],
      ["claim d", "d claimed c>0"]
    ]
  },
  {
    rule: "X7 by the policy refuse, the reason is concurrency-limit, unless workers are congested",
    workers: [0, 1],
    options: { policy: "refuse" },
    steps: [
      ["busy 0 1", ""],
      ["arrive a", "a refused concurrency-limit"],
      ["congest 1", ""],
      ["arrive b", "b refused congested"]
    ]
  },
  // ---- which worker
  {
    rule:
      "W10 each session goes to the next higher number after the one that was last given a session, and round again",
    steps: [["arrive a b c d", "a>0 b>1 c>2 d>0"]]
  },
  {
    rule: "W10 a worker that has left is not missed: after 0, 1, 2 comes 3, although 0 has left",
    workers: [0, 1, 2, 3],
    steps: [["arrive a b c", "a>0 b>1 c>2"], ["claim a b c", "a claimed b claimed c claimed"], ["leave 0", ""], [
      "arrive d e",
      "d>3 e>1"
    ]]
  },
  {
    rule: "W10 after the worker that was last given a session has left comes the one after it",
    workers: [0, 1, 2, 3],
    steps: [["arrive a b", "a>0 b>1"], ["claim a b", "a claimed b claimed"], ["leave 1", ""], [
      "arrive c d e",
      "c>2 d>3 e>0"
    ]]
  },
  {
    rule: "W10 after the highest has left the rotor goes round",
    steps: [["arrive a b c", "a>0 b>1 c>2"], ["claim a b c", "a claimed b claimed c claimed"], ["leave 2", ""], [
      "arrive d",
      "d>0"
    ]]
  },
  {
    rule: "W10 a worker that has come takes its turn by its number, whenever it came",
    workers: [3, 1],
    steps: [["arrive a", "a>1"], ["join 2 0", ""], ["arrive b c d e", "b>2 c>3 d>0 e>1"]]
  },
  {
    rule: "W10 a worker that starts again keeps its turn",
    steps: [["arrive a", "a>0"], ["claim a", "a claimed"], ["restart 1", ""], ["arrive b", "b>2"], ["join 1", ""], [
      "arrive c d",
      "c>0 d>1"
    ]]
  },
  {
    rule: "W10 a worker without memory is passed over, and the turn is that of the one that was given the session",
    steps: [["none 0", ""], ["arrive a b c", "a>1 b>2 c>1"]]
  },
  {
    rule: "M6 a congested worker is offered nothing; the next one is",
    steps: [["congest 0 1", ""], ["arrive a b", "a>2 b>2"], ["ease 0", ""], ["arrive c", "c>0"]]
  },
  {
    rule: "M6 a worker that finishes, or has no seat, is offered nothing",
    steps: [["drain 0", ""], ["leave 1", ""], ["arrive a b", "a>2 b>2"]]
  },
  {
    rule: "M6 a worker has no more than its sessions",
    options: { maxSessionsPerWorker: 1 },
    workers: [0, 1],
    steps: [["arrive a b c", "a>0 b>1 c held"], ["claim a", "a claimed"], ["free a", "c>0"]]
  },

  // ---- no worker
  {
    rule: "M6 when no worker takes any, connections are held, and served in their order",
    workers: [0],
    steps: [["congest 0", ""], ["arrive a b", "a held b held"], ["ease 0", "a>0"], ["claim a", "a claimed b>0"]]
  },
  {
    rule: "M6 nobody overtakes those that are held, though a worker takes sessions by now",
    workers: [0],
    steps: [["congest 0", ""], ["arrive a", "a held"], ["settle 0", ""], ["arrive b", "b held"], ["ease 0", "a>0"], [
      "claim a",
      "a claimed b>0"
    ]]
  },
  {
    rule: "M6 while one waits for memory, those behind it wait too",
    workers: [0],
    steps: [
      ["none 0", ""],
      ["arrive a", "a held"],
      ["gone a", ""],
      ["growing 0", ""],
      ["arrive b", "b held"],
      [
        "arrive c",
        "c held"
      ],
      ["some 0", "b>0"],
      ["claim b", "b claimed c>0"]
    ]
  },
  {
    rule: "M6 as many as holdMax are held",
    options: { holdMax: 2 },
    workers: [0],
    steps: [["congest 0", ""], ["arrive a b c", "a held b held c refused hold-full"], ["gone a", ""], [
      "arrive d",
      "d held"
    ]]
  },
  {
    rule: "M6 a connection is held for holdTime and no longer",
    options: { holdTime: 300 },
    workers: [0],
    steps: [
      ["congest 0", ""],
      ["arrive a", "a held"],
      ["time 100", ""],
      ["arrive b", "b held"],
      ["time 199", ""],
      [
        "time 1",
        "a refused hold-time"
      ],
      ["time 99", ""],
      ["time 1", "b refused hold-time"]
    ]
  },
  {
    rule: "M6 by policy refuse, congestion is the reason",
    options: { policy: "refuse" },
    steps: [["congest 0 1 2", ""], ["arrive a", "a refused congested"]]
  },
  {
    rule: "M6 by policy refuse, that all that run have their sessions is the reason",
    options: { policy: "refuse", maxSessionsPerWorker: 1 },
    workers: [0, 1],
    steps: [["arrive a b", "a>0 b>1"], ["congest 1", ""], ["arrive c", "c refused worker-limit"]]
  },
  {
    rule: "M6 by policy refuse, that no worker runs is the reason",
    options: { policy: "refuse" },
    workers: [0, 1],
    steps: [["drain 0", ""], ["restart 1", ""], ["arrive a", "a refused no-worker"]]
  },
  {
    rule: "M6 by policy refuse, memory that can't be had is the reason; memory that is on its way is waited for",
    options: { policy: "refuse" },
    workers: [0],
    steps: [
      ["none 0", ""],
      ["arrive a", "a refused no-memory"],
      ["growing 0", ""],
      ["arrive b c", "b held c held"],
      [
        "none 0",
        ""
      ],
      ["arrive d", "d refused no-memory"],
      ["some 0", "b>0"],
      ["claim b", "b claimed c>0"]
    ]
  },

  // ---- limits
  {
    rule: "M6 the listener has no more than its sessions",
    options: { maxSessionsPerListener: 2 },
    steps: [["arrive a b c", "a>0 b>1 c refused listener-limit"], ["claim a", "a claimed"], ["free a", ""], [
      "arrive d e",
      "d>2 e refused listener-limit"
    ]]
  },
  {
    rule: "M6 the application has no more than its sessions, wherever they come from",
    options: { maxSessions: 3 },
    steps: [["app 2", ""], ["arrive a b", "a>0 b refused host-limit"], ["app -1", ""], ["arrive c", "c>1"]]
  },
  {
    rule: "M6 those that are held wait for a place in the limits",
    options: { maxSessions: 1 },
    workers: [0],
    steps: [["congest 0", ""], ["arrive a b", "a held b held"], ["ease 0", "a>0"], ["claim a", "a claimed"], [
      "free a",
      "b>0"
    ]]
  },
  {
    rule: "M15 a connection that comes back is not refused for a limit that it was within",
    options: { maxSessionsPerListener: 1 },
    steps: [["arrive a", "a>0"], ["time 5", "a revoked a>1"]]
  },
  {
    rule: "M15 a connection that comes back while the limit is used up is held",
    options: { maxSessions: 2 },
    steps: [["arrive a", "a>0"], ["app 2", ""], ["time 5", "a revoked a held"], ["app -1", "a>1"]]
  },

  // ---- offers that end
  {
    rule: "M15 an offer that is not claimed within revokeAfter goes to another worker",
    steps: [["arrive a", "a>0"], ["time 4", ""], ["time 1", "a revoked a>1"], ["claim a", "a claimed"], ["time 50", ""]]
  },
  {
    rule: "M15 a worker that let an offer run out is offered nothing more before it has come past it",
    workers: [0, 1],
    steps: [["arrive a", "a>0"], ["time 5", "a revoked a>1"], ["arrive b c", "b>1 c>1"], ["past a", ""], [
      "arrive d",
      "d>0"
    ]]
  },
  {
    rule: "M15 an offer that the worker has claimed is not revoked, whenever its word of it is read",
    steps: [["arrive a", "a>0"], ["take a", ""], ["time 50", ""], ["claim a", "a claimed"]]
  },
  {
    rule: "M15 an offer that comes back stands before those that wait, and the one that came back last before all",
    workers: [0],
    steps: [
      ["arrive a b", "a>0 b>0"],
      ["congest 0", ""],
      ["arrive c", "c held"],
      [
        "time 5",
        "a revoked a held b revoked b held"
      ],
      ["ease 0", ""],
      ["past a", ""],
      ["past b", "b>0"],
      ["claim b", "b claimed a>0"],
      ["claim a", "a claimed c>0"]
    ]
  },
  {
    rule: "M15 a connection that comes back finds the hold full, and is refused",
    options: { holdMax: 1 },
    workers: [0],
    steps: [["arrive a", "a>0"], ["congest 0", ""], ["arrive b", "b held"], ["time 5", "a revoked a refused hold-full"]]
  },
  {
    rule: "M15 a place in the hold that is free at the very moment is had by the connection that comes back",
    options: { holdMax: 1, holdTime: 5 },
    workers: [0],
    steps: [["arrive a", "a>0"], ["congest 0", ""], ["arrive b", "b held"], [
      "time 5",
      "b refused hold-time a revoked a held"
    ]]
  },
  {
    rule: "M6 M15 a connection that is held again and again is held for holdTime in all",
    options: { holdTime: 12 },
    workers: [0],
    steps: [
      ["congest 0", ""],
      ["arrive a", "a held"],
      ["time 2", ""],
      ["ease 0", "a>0"],
      ["time 5", "a revoked a held"],
      ["past a", "a>0"],
      ["time 4", ""],
      ["leave 0", "a held"],
      ["join 0", "a>0"],
      ["time 1", ""],
      ["leave 0", "a refused hold-time"]
    ]
  },
  {
    rule: "M15 by policy refuse, a connection that comes back is refused when no worker takes it",
    options: { policy: "refuse" },
    workers: [0],
    steps: [["arrive a", "a>0"], ["time 5", "a revoked a refused congested"]]
  },
  {
    rule: "M15 by policy refuse, memory that is on its way is no reason to wait while a limit allows no session",
    options: { policy: "refuse", maxSessions: 2 },
    workers: [0, 1],
    steps: [["arrive a", "a>0"], ["app 2", ""], ["growing 1", ""], ["time 5", "a revoked a refused host-limit"]]
  },
  {
    rule: "M15 a held connection that is offered at last has the whole revoke time",
    workers: [0, 1],
    steps: [["congest 0 1", ""], ["arrive a", "a held"], ["time 4", ""], ["ease 0", "a>0"], ["ease 1", ""], [
      "time 4",
      ""
    ], [
      "time 1",
      "a revoked a>1"
    ]]
  },
  {
    rule: "W12 the offers of a worker that leaves go to others, and those that it has claimed are its own",
    steps: [["arrive a b c d", "a>0 b>1 c>2 d>0"], ["take d", ""], ["leave 0", "a>1 d claimed"], ["past a", ""]]
  },
  {
    rule: "W16 an offer whose client gives up is nobody's, and its place in the limits is free",
    options: { maxSessionsPerListener: 2, maxSessionsPerWorker: 1 },
    workers: [0, 1],
    steps: [["arrive a", "a>0"], ["congest 1", ""], ["arrive b", "b held"], ["giveUp a", ""], ["past a", "b>0"]]
  },

  // ---- the end
  {
    rule: "M6 a listener that stops refuses those that wait and those that arrive",
    workers: [0],
    steps: [
      ["congest 0", ""],
      ["arrive a b", "a held b held"],
      [
        "stop draining",
        "a refused draining b refused draining"
      ],
      ["ease 0", ""],
      ["arrive c", "c refused draining"],
      ["stop closing", ""],
      ["arrive d", "d refused draining"]
    ]
  },
  {
    rule: "M15 while it stops, a claim counts, and an offer that comes back is refused",
    steps: [["arrive a b", "a>0 b>1"], ["stop draining", ""], ["claim a", "a claimed"], [
      "time 5",
      "b revoked b refused draining"
    ]]
  },
  {
    rule: "M6 a listener without workers that closes refuses those that wait",
    workers: [],
    steps: [["arrive a", "a held"], ["stop closing", "a refused no-worker"]]
  }
]

describe("admission", () => {
  for (const { options, rule, steps, workers: numbers = [0, 1, 2] } of rules) {
    it(rule, () => {
      const desk = new Desk(options)
      const workers = new Map<string, DeskWorker>()
      for (const number of numbers) perform(desk, workers, `join ${number}`)
      for (const [step, done] of steps) {
        perform(desk, workers, step)
        assert.strictEqual(desk.take().join(" "), done, step)
        const { arrivals } = desk.admission
        assert.deepStrictEqual(Ledger.imbalances(step, { arrivals }), [])
        for (const { offers } of workers.values()) assert.deepStrictEqual(Ledger.imbalances(step, { offers }), [])
      }
    })
  }
})

describe("affinity", () => {
  const keyed = (numbers: ReadonlyArray<number>, options: Partial<ListenerAdmission> = {}) => {
    const desk = new Desk(options, true)
    const workers = numbers.map((number) => new DeskWorker(number))
    for (const worker of workers) desk.admission.seats.join(worker)
    return { desk, workers }
  }
  /** The workers by their weights for the key, best first. */
  const ranked = (key: string, numbers: ReadonlyArray<number>): ReadonlyArray<number> =>
    [...numbers].sort((a, b) => Affinity.weight(Affinity.hash(key), b) - Affinity.weight(Affinity.hash(key), a))
  const numbers = [0, 1, 2, 3, 4]

  it("M6 connections of one key go to the worker that is best for it, and to the next best while it takes none", () => {
    const { desk, workers } = keyed(numbers)
    for (const key of ["ann", "ben", "cat", "dan"]) {
      const ranks = ranked(key, numbers)
      for (const [at, number] of ranks.entries()) {
        desk.arrive({ name: `${key}${at}`, key })
        assert.deepStrictEqual(desk.take(), [`${key}${at}>${number}`])
        workers[number]!.congested = true
      }
      for (const worker of workers) worker.congested = false
    }
  })

  it("M6 one without memory leaves it to the next best, down to the last", () => {
    const { desk, workers } = keyed(numbers)
    const ranks = ranked("ann", numbers)
    for (const number of ranks.slice(0, 4)) workers[number]!.memory = "none"
    desk.arrive({ name: "a", key: "ann" })
    assert.deepStrictEqual(desk.take(), [`a>${ranks[4]}`])
    workers[ranks[4]!]!.memory = "none"
    desk.arrive({ name: "b", key: "ann" })
    assert.deepStrictEqual(desk.take(), ["b held"])
  })

  it("W10 a connection without a key goes to the next worker, and those with one do not turn the rotor", () => {
    const { desk } = keyed([0, 1, 2])
    desk.arrive({ name: "a" })
    const key = Array.from({ length: 50 }, (_, i) => `k${i}`).find((key) => ranked(key, [0, 1, 2])[0] === 2)
    assert.isDefined(key)
    desk.arrive({ name: "b", key })
    desk.arrive({ name: "c" })
    assert.deepStrictEqual(desk.take(), ["a>0", "b>2", "c>1"])
  })

  it("M15 a key is asked for once, when it is needed, and goes with the connection when it comes back", () => {
    const { desk, workers } = keyed([0, 1, 2], { maxSessionsPerListener: 1 })
    const [best, next] = ranked("ann", [0, 1, 2])
    desk.arrive({ name: "a", key: "ann" })
    desk.arrive({ name: "refused", key: "ann" })
    desk.pass(5)
    assert.deepStrictEqual(desk.take(), [`a>${best}`, "refused refused listener-limit", "a revoked", `a>${next}`])
    for (const worker of workers) worker.congested = true
    desk.pass(5)
    for (const worker of workers) worker.congested = false
    desk.admit()
    assert.deepStrictEqual(desk.asked, ["a"])
  })
})

describe("what is counted", () => {
  it("M14 each connection is counted once, by what became of it", () => {
    const desk = new Desk({ maxSessionsPerListener: 3, holdMax: 1 })
    const workers = [new DeskWorker(0), new DeskWorker(1)]
    for (const worker of workers) desk.admission.seats.join(worker)
    for (const name of ["a", "b"]) desk.arrive({ name })
    desk.claim("b")
    desk.pass(5)
    desk.giveUp("a")
    desk.admission.turnedAway("rule-denied")
    desk.admission.redirected()
    desk.admission.insecure("tls-failed")
    workers[1]!.congested = true
    for (const name of ["c", "d"]) desk.arrive({ name })
    const { arrivals } = desk.admission
    assert.deepStrictEqual({ ...arrivals, refused: {}, dropped: {}, ended: {} }, {
      arrived: 6,
      claimed: 0,
      moved: 0,
      unclaimed: 1,
      lost: 0,
      withdrawn: 1,
      redirected: 1,
      held: 1,
      offered: 0,
      refused: {},
      dropped: {},
      ended: {}
    })
    const { "hold-full": full, "rule-denied": denied, "tls-failed": failed } = arrivals.refused
    assert.deepStrictEqual([full, denied, failed], [1, 1, 1])
    assert.deepStrictEqual(workers.map(({ offers }) => ({ ...offers })), [
      { offered: 1, claimed: 0, refused: 0, revoked: 1, withdrawn: 0, pending: 0, moved: 0, unclaimed: 0 },
      { offered: 2, claimed: 1, refused: 0, revoked: 0, withdrawn: 1, pending: 0, moved: 0, unclaimed: 0 }
    ])
    assert.strictEqual(desk.admission.sessions, 1)
  })

  it("M12 a worker is behind from the first offer that ran out until it has come past the last", () => {
    const desk = new Desk()
    const [slow, quick] = [new DeskWorker(0), new DeskWorker(1)]
    desk.admission.seats.join(slow)
    desk.arrive({ name: "a" })
    desk.pass(2)
    desk.arrive({ name: "b" })
    desk.admission.seats.join(quick)
    desk.pass(5)
    for (const name of ["a", "b"]) desk.claim(name)
    desk.pass(18)
    // from 5 on, when the first ran out
    assert.deepStrictEqual([slow.lag.offers, slow.lag.times, slow.lag.millis(desk.now)], [2, 1, 20])
    for (const session of desk.stale.slice()) {
      desk.comePast(session)
      desk.pass(10)
    }
    assert.deepStrictEqual([slow.lag.offers, slow.lag.times, slow.lag.millis(desk.now)], [0, 1, 30])
  })

  it("M15 nothing is due while nothing waits for time to pass", () => {
    const desk = new Desk({ revokeAfter: 5, holdTime: 300 })
    const worker = new DeskWorker(0)
    desk.admission.seats.join(worker)
    assert.strictEqual(desk.admission.nextDeadline(), Infinity)
    desk.arrive({ name: "a" })
    assert.strictEqual(desk.admission.nextDeadline(), 5)
    worker.congested = true
    desk.pass(1)
    desk.arrive({ name: "b" })
    assert.strictEqual(desk.admission.nextDeadline(), 5)
    desk.claim("a")
    assert.strictEqual(desk.admission.nextDeadline(), 301)
    desk.go("b")
    assert.strictEqual(desk.admission.nextDeadline(), Infinity)
  })
})
