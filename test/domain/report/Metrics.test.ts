import { assert, describe, it } from "@effect/vitest"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as Metrics from "../../../src/domain/report/Metrics.ts"
import * as MetricsText from "../../../src/domain/report/MetricsText.ts"
import { ends } from "../../../src/domain/state/Histogram.ts"
import * as Exposition from "../../support/Exposition.ts"
import { isInstalled } from "../../support/programs.ts"
import * as Reports from "../../support/Reports.ts"

const docs = (name: string): string => Fs.readFileSync(Path.join(import.meta.dirname, "../../../docs", name), "utf8")

const hostile = "a\"b\\c\nd"
const report = Reports.host({
  apps: [Reports.app({
    name: hostile,
    workers: [
      Reports.worker({
        times: { ...Reports.worker().times, claim: Reports.histogram(0.1, 0.11, 4.9, 5, 5.1, 60_000) }
      }),
      Reports.worker({
        handle: "1.0",
        mapIndex: 1,
        generation: 2,
        inHand: { now: 3, limit: 20 },
        thread: {
          activeMillis: 1500,
          idleMillis: 500,
          utilization: 0.75,
          cpuUserMillis: 1200,
          cpuSystemMillis: 100,
          heapUsed: 5_000_000,
          heapLimit: 50_000_000,
          ageMillis: 12
        }
      })
    ]
  })]
})
const text = MetricsText.format(report)
const series = Exposition.parse(text)

describe("metrics", () => {
  it("X5 have names that say what they are, in which unit, and one meaning each", () => {
    assert.strictEqual(new Set(Metrics.all.map(({ name }) => name)).size, Metrics.all.length)
    for (const { help, kind, name, unit } of Metrics.all) {
      assert.match(name, /^(?:sluice|nodejs|v8js)_[a-z]+(?:_[a-z]+)*$/)
      assert.strictEqual(name.endsWith("_total"), kind === "counter", name)
      if (unit !== undefined) assert.match(name, unit === "s" ? /_seconds(?:_total)?$/ : /_bytes(?:_total)?$/)
      assert.match(help, /^[A-Z].*[^.]$/)
    }
  })

  it("X5 have each series once, and no label by session or address of a peer", () => {
    const keys = series.map(({ labels, name }) => `${name} ${JSON.stringify(labels)}`)
    assert.strictEqual(new Set(keys).size, keys.length)
    const labels = new Set(series.flatMap(({ labels }) => Object.keys(labels)))
    const known = [
      "version",
      "app",
      "worker",
      "listener",
      "result",
      "reason",
      "direction",
      "ring",
      "kind",
      "state",
      "mode",
      "le"
    ]
    assert.sameMembers([...labels], known)
  })

  it("X5 escape what stands in a label", () => {
    assert.include(text, "sluice_worker_generation{app=\"a\\\"b\\\\c\\nd\",worker=\"1\"} 2")
    assert.strictEqual(Exposition.sum(series, "sluice_worker_generation", { app: hostile, worker: "1" }), 2)
  })

  it("X5 have histograms whose buckets have exactly the times up to their ends", () => {
    const upTo = (le: string) => Exposition.sum(series, "sluice_claim_seconds_bucket", { worker: "0", le })
    const counts = ["0.0001", "0.00025", "0.0025", "0.005", "0.01", "10", "+Inf"].map(upTo)
    assert.deepStrictEqual(counts, [1, 2, 2, 4, 5, 5, 6])
    assert.strictEqual(Exposition.sum(series, "sluice_claim_seconds_count", { worker: "0" }), 6)
    assert.approximately(Exposition.sum(series, "sluice_claim_seconds_sum", { worker: "0" }), 60.01521, 1e-9)
    for (const metric of Metrics.all) {
      if (metric.kind === "histogram") { for (const end of metric.ends) assert.isTrue(ends.includes(end), `${end}`) }
    }
  })

  it.skipIf(!isInstalled("promtool"))("X5 are right for `promtool check metrics`", () => {
    assert.strictEqual(Exposition.promtool(text), "")
  })

  it("X5 are listed in docs/operate.md, each with its kind and labels", () => {
    const rows = Metrics.all.map((metric) => {
      const labels = new Set(metric.samples(report).flatMap(([labels]) => Object.keys(labels)))
      const list = [...labels].map((label) => `\`${label}\``).join(", ")
      return `| \`${metric.name}\` | ${metric.kind} | ${list === "" ? "–" : list} | ${metric.help} |`
    })
    const [, table] = /<!-- metrics -->\n\n((?:.*\n)*?)\n<!-- end -->/.exec(docs("operate.md"))!
    const [head, rule, ...listed] = table!.trim().split("\n")
    assert.match(head!, /^\| metric +\| kind +\| labels/)
    assert.match(rule!, /^\|-/)
    assert.deepStrictEqual(listed.map((row) => row.replace(/ +\|/g, " |").replace(/\| +/g, "| ")), rows)
  })

  it.skipIf(!isInstalled("promtool"))(
    "X5 have alerts in docs/alerts.yml that are right for `promtool check rules`",
    () => {
      assert.match(
        Exposition.promtool("", ["check", "rules", Path.join(import.meta.dirname, "../../../docs/alerts.yml")]),
        /SUCCESS: \d+ rules found\s*$/
      )
    }
  )

  it("X5 are all that the dashboard in docs/grafana.json and the alerts in docs/alerts.yml ask for", () => {
    const names = new Set(
      Metrics.all.flatMap(({ kind, name }) =>
        kind === "histogram" ? ["_bucket", "_sum", "_count"].map((part) => `${name}${part}`) : [name]
      )
    )
    for (const page of ["grafana.json", "alerts.yml"]) {
      const asked = docs(page).match(/(?:sluice|nodejs|v8js)_\w+/g) ?? []
      assert.isAbove(asked.length, 10, page)
      assert.deepStrictEqual(asked.filter((name) => !names.has(name)), [], page)
    }
    assert.isArray(JSON.parse(docs("grafana.json")).panels)
  })
})
