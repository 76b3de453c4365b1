/**
 * The house: which room may import which, and that a name means one thing.
 *
 * A room is a folder of `src`, or a file that stands on top of several. Services and domain are everybody's, and the
 * files of a room may import each other.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Fs from "node:fs"
import * as Path from "node:path"

const root = Path.join(import.meta.dirname, "../src")

/** What each room may import besides itself, `services` and `domain`. */
const rooms: Readonly<Record<string, ReadonlyArray<string>>> = {
  domain: [],
  services: [],
  "layers/system": [],
  "layers/log": [],
  "layers/telemetry": ["layers/log"],
  "layers/transport": ["layers/system"],
  "layers/stores": [],
  "layers/takeover": ["layers/system"],
  "layers/control": ["layers/log", "layers/system"],
  "layers/dashboard": ["layers/control", "layers/log", "layers/system"],
  "layers/worker": ["layers/transport"],
  "layers/adapters": ["layers/log", "layers/worker", "layers/transport"],
  "layers/stack": ["layers/log", "layers/adapters", "layers/worker", "layers/transport"],
  "layers/host": [
    "layers/system",
    "layers/log",
    "layers/telemetry",
    "layers/stack",
    "layers/adapters",
    "layers/worker",
    "layers/transport"
  ],
  "layers/Host.ts": ["layers/host", "layers/stack", "layers/stores", "layers/takeover", "layers/transport"],
  "layers/PlainHost.ts": ["layers/Host.ts", "layers/log", "layers/control", "layers/stack", "layers/adapters"],
  "layers/testing": ["layers/Host.ts", "layers/host", "layers/stack", "layers/adapters", "layers/transport"],
  "layers/cli": [
    "layers/control",
    "layers/dashboard",
    "layers/log",
    "layers/system",
    "layers/telemetry",
    "apps/proxy"
  ],
  "apps/http.ts": ["layers/adapters"],
  "apps/proxy": []
}

/** The entries may import any room: nothing imports them. */
const isEntry = (file: string): boolean => !file.includes("/")

/** The rooms of domain in the order in which they may import each other: from those before only. */
const domain = ["state", "net", "memory", "options", "report", "admission", "events", "overview", "takeover"]

/** What domain uses of others: data, and pure functions over it. `Effect` is what the decoders of `Schema` answer with. */
const pure = new Set([
  "effect/Brand",
  "effect/ByteSize",
  "effect/Cause",
  "effect/Data",
  "effect/Duration",
  "effect/Effect",
  "effect/Formatter",
  "effect/Option",
  "effect/Predicate",
  "effect/Redacted",
  "effect/Result",
  "effect/Schema",
  "effect/SchemaIssue",
  "effect/SchemaTransformation",
  "effect/Struct",
  "effect/net/IpNetwork",
  "effect/net/NetAddress",
  "node:crypto",
  "node:net",
  "node:util",
  "node:util/types"
])

const files = (Fs.readdirSync(root, { recursive: true }) as ReadonlyArray<string>)
  .filter((file) => file.endsWith(".ts"))
  .map((file) => file.replaceAll(Path.sep, "/"))
  .sort()

const roomOf = (file: string): string | undefined =>
  Object.keys(rooms).find((room) => file === room || file.startsWith(`${room}/`))

const textOf = (file: string): string => Fs.readFileSync(Path.join(root, file), "utf8")

/** The files of `src` that a file imports. */
const importsOf = (file: string): ReadonlyArray<string> =>
  [...textOf(file).matchAll(/(?:from |import\()"(\.[^"]+)"/g)]
    .map(([, path]) => Path.posix.join(Path.posix.dirname(file), path!))

/** The files that a file exports something of: as `what` matches it. */
const exportsOf = (file: string, what = /[^;"]*?/): ReadonlyArray<string> =>
  [...textOf(file).matchAll(new RegExp(`^export (?:type )?(?:${what.source}) from "(\\.[^"]+)"`, "gm"))]
    .map(([, path]) => Path.posix.join(Path.posix.dirname(file), path!))

/** What a file declares and exports; of a function with several signatures, and of a schema and its type, the first. */
const itemsOf = (file: string): ReadonlyArray<{ readonly name: string; readonly tagged: boolean }> => {
  const seen = new Set<string>()
  const declared =
    /(\/\*\*(?:(?!\*\/)[^])*\*\/\n)?^export (?:declare |abstract )*(?:const|function|type|interface|class) (\w+)/gm
  return [...textOf(file).matchAll(declared)].flatMap(([, doc = "", name]) => {
    if (seen.has(name!)) return []
    seen.add(name!)
    return [{ name: name!, tagged: /@category \w/.test(doc) && /@since \d/.test(doc) }]
  })
}

describe("the house", () => {
  it("has a room for each file", () => {
    assert.deepStrictEqual(files.filter((file) => !isEntry(file) && roomOf(file) === undefined), [])
  })

  it.each(files.filter((file) => !isEntry(file)))("%s imports what its room may import", (file) => {
    const room = roomOf(file)!
    const allowed = [room, ...rooms[room]!, "domain", ...(room === "domain" ? [] : ["services"])]
    const broken = importsOf(file).filter((target) => !allowed.includes(roomOf(target) ?? "an entry"))
    assert.deepStrictEqual(broken, [], `${file} (room ${room}) may import ${allowed.join(", ")}`)
  })

  it("has an order in domain, too", () => {
    const broken = files.filter((file) => file.startsWith("domain/")).flatMap((file) => {
      const [, room] = file.split("/")
      const before = domain.slice(0, domain.indexOf(room!) + 1)
      return importsOf(file).filter((target) => !before.includes(target.split("/")[1]!)).map((target) =>
        `${file} imports ${target}`
      )
    })
    assert.deepStrictEqual(broken, [])
  })

  it("has nothing in domain that waits, reads a clock or does I/O", () => {
    const foreign = files.filter((file) => file.startsWith("domain/")).flatMap((file) =>
      [...textOf(file).matchAll(/from "([^."][^"]*)"/g)].flatMap(([, name]) =>
        pure.has(name!) ? [] : `${file} imports ${name}`
      )
    )
    assert.deepStrictEqual(foreign, [])
  })

  it("has a worker's thread load no schemas: they take as long to load as all the rest, with each start", () => {
    const effect = Path.join(root, "../node_modules/effect/dist")
    const staticImports = /^(?:import|export)\s+(?!type\b)(?:[^"';]*?\sfrom\s+)?"([^"]+)"/gm
    const targetOf = (name: string, file: string): string | undefined =>
      name.startsWith(".")
        ? Path.join(Path.dirname(file), name)
        : name.startsWith("effect/")
        ? Path.join(effect, `${name.slice("effect/".length)}.js`)
        : undefined
    // each file, and the one that has it loaded first
    const loaded = new Map([[Path.join(root, "thread.ts"), ""]])
    for (const file of loaded.keys()) {
      for (const [, name] of Fs.readFileSync(file, "utf8").matchAll(staticImports)) {
        const target = targetOf(name!, file)
        if (target !== undefined && !loaded.has(target)) loaded.set(target, file)
      }
    }
    assert.isAbove(loaded.size, 100)
    const schemas = [...loaded].filter(([file]) => /\/dist\/(?:internal\/)?schema/i.test(file))
    assert.deepStrictEqual(schemas.map(([file, by]) => `${by} has ${file} loaded`), [])
  })

  it("has one meaning for each exported name", () => {
    const homes = new Map<string, Set<string>>()
    for (const file of files) {
      for (
        const [, name] of textOf(file).matchAll(
          /^export (?:abstract )?(?:const|type|interface|class) ([A-Z]\w*[a-z]\w*)/gm
        )
      ) {
        homes.set(name!, (homes.get(name!) ?? new Set()).add(file))
      }
    }
    const several = [...homes].filter(([, where]) => where.size > 1).map(([name, where]) =>
      `${name}: ${[...where].join(", ")}`
    )
    assert.deepStrictEqual(several, [])
  })

  it("has one file for each name in services and layers", () => {
    const names = files.filter((file) => !isEntry(file)).map((file) => Path.posix.basename(file))
    assert.deepStrictEqual(names.filter((name, at) => names.indexOf(name) !== at), [])
  })

  it("has a test file by the name of a source file, or one that says what it covers", () => {
    const tests = (Fs.readdirSync(import.meta.dirname, { recursive: true }) as ReadonlyArray<string>)
      .filter((file) => file.endsWith(".test.ts"))
      .map((file) => file.replaceAll(Path.sep, "/"))
    const astray = tests.filter((file) =>
      !files.includes(file.replace(".test.ts", ".ts"))
      && !Fs.readFileSync(Path.join(import.meta.dirname, file), "utf8").startsWith("/**")
    )
    assert.deepStrictEqual(astray, [])
  })

  it("has tags on all that its modules for others export", () => {
    const whole = files.filter(isEntry).flatMap((file) => exportsOf(file, /\* as \w+/))
    const untagged = whole.flatMap((file) =>
      itemsOf(file).flatMap(({ name, tagged }) => tagged ? [] : `${file}: ${name}`)
    )
    assert.deepStrictEqual([...new Set(untagged)], [])
    const headless = whole.filter((file) => !/^\/\*\*(?:(?!\*\/)[^])*@since \d/.test(textOf(file)))
    assert.deepStrictEqual(headless, [])
  })

  it("has tags nowhere else", () => {
    const shown = new Set(files.filter(isEntry))
    // what is exported by way of another module, too
    for (const file of shown) for (const target of exportsOf(file)) shown.add(target)
    const stray = files.filter((file) => !shown.has(file) && /^ *(?:\/\*)?\* @(?:since|category) /m.test(textOf(file)))
    assert.deepStrictEqual(stray, [])
  })
})
