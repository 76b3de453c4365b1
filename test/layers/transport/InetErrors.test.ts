import { assert, describe, it } from "@effect/vitest"
import * as Endpoint from "../../../src/domain/net/Endpoint.ts"
import * as InetErrors from "../../../src/layers/transport/InetErrors.ts"
import { hasIPv6 } from "../../support/TransportWorlds.ts"

const at = (text: string): Endpoint.InetEndpoint => Endpoint.inetOf(text)!

interface SystemError extends NodeJS.ErrnoException {
  readonly address?: string | undefined
}

const system = (code: string, syscall = "connect", address?: string): SystemError =>
  Object.assign(new Error(`${syscall} ${code}`), { code, syscall, ...(address !== undefined && { address }) })

const connect = (error: NodeJS.ErrnoException, options: { readonly to?: string; readonly source?: string } = {}) =>
  InetErrors.connectFailed(
    at(options.to ?? "tcp://192.0.2.1:80"),
    options.source === undefined ? undefined : at(options.source),
    error
  )

const listen = (error: NodeJS.ErrnoException, on = "tcp://192.0.2.1:80") => InetErrors.listenFailed(at(on), error)

describe("connect", () => {
  for (
    const [code, reason] of [
      ["ECONNREFUSED", "ConnectionRefused"],
      ["ENETUNREACH", "Unreachable"],
      ["EHOSTUNREACH", "Unreachable"],
      ["EHOSTDOWN", "Unreachable"],
      ["ENETDOWN", "Unreachable"],
      ["EAFNOSUPPORT", "Unreachable"],
      ["ETIMEDOUT", "TimedOut"],
      ["ECONNRESET", "Reset"],
      ["ECONNABORTED", "Reset"],
      ["EADDRINUSE", "AddressInUse"],
      ["EACCES", "PermissionDenied"],
      ["EPERM", "PermissionDenied"],
      ["EMFILE", "TransportFailed"],
      ["EPROTO", "TransportFailed"]
    ] as const
  ) {
    it(`${code} is ${reason}, in a sentence that names the endpoint`, () => {
      const error = connect(system(code))
      assert.strictEqual(error.operation, "connect")
      assert.strictEqual(error.reason, reason)
      assert.match(error.message, /^connect tcp:\/\/192\.0\.2\.1:80: \w/)
      assert.strictEqual(/\bE[A-Z]{4}/.test(error.detail), code === "EPROTO")
    })
  }

  it("EADDRNOTAVAIL of a bind is a source that is not this machine's", () => {
    const error = connect(system("EADDRNOTAVAIL", "bind"), { source: "tcp://198.51.100.1:0" })
    assert.strictEqual(error.reason, "AddressNotAvailable")
    assert.include(error.detail, "source tcp://198.51.100.1:0 is not an address of this machine")
  })

  it("EADDRNOTAVAIL of a connect is a source port that goes there already, or no port that is left", () => {
    const says = (source?: string) => {
      const error = connect(system("EADDRNOTAVAIL"), source === undefined ? {} : { source })
      assert.strictEqual(error.reason, "AddressInUse")
      return error.detail
    }
    assert.include(says("tcp://192.0.2.2:5000"), "source tcp://192.0.2.2:5000 is in use")
    assert.include(says("tcp://192.0.2.2:0"), "source tcp://192.0.2.2:0 has no port left")
    assert.include(says(), "no port is left to connect from")
  })

  it("EADDRNOTAVAIL for an IPv6 address on a machine without any is Unreachable", () => {
    for (const to of ["tcp://[2001:db8::1]:80", "tcp://several.test:80"]) {
      const error = connect(system("EADDRNOTAVAIL", "connect", "2001:db8::1"), { to })
      assert.strictEqual(error.reason, hasIPv6 ? "AddressInUse" : "Unreachable")
    }
  })

  it("EINVAL with a source is a source from which there is no way, or that lacks its interface", () => {
    const lost = connect(system("EINVAL"), { source: "tcp://127.0.0.1:0" })
    assert.strictEqual(lost.reason, "AddressNotAvailable")
    assert.include(lost.detail, "no route from source tcp://127.0.0.1:0")
    const bare = connect(system("EINVAL", "bind"), { to: "tcp://[::1]:80", source: "tcp://[fe80::1]:0" })
    assert.strictEqual(bare.reason, "AddressNotAvailable")
    assert.include(bare.detail, "source tcp://[fe80::1]:0: a link-local address needs the interface")
  })

  it("EINVAL for a link-local address without its interface is Unreachable", () => {
    const error = connect(system("EINVAL"), { to: "tcp://[fe80::1]:80" })
    assert.strictEqual(error.reason, "Unreachable")
    assert.include(error.detail, "a link-local address needs the interface")
    assert.strictEqual(connect(system("EINVAL")).reason, "TransportFailed")
  })

  it("a source port that is reserved is told apart from a destination that is forbidden", () => {
    assert.include(
      connect(system("EACCES", "bind"), { source: "tcp://127.0.0.1:80" }).detail,
      "source tcp://127.0.0.1:80: permission denied; ports below 1024"
    )
    assert.include(connect(system("EPERM")).detail, "firewall")
  })

  it("a name that can't be looked up is named, and a failing resolver is told from an unknown name", () => {
    const to = "tcp://db.example:80"
    const unknown = connect(system("ENOTFOUND", "getaddrinfo"), { to })
    assert.strictEqual(unknown.reason, "Unreachable")
    assert.strictEqual(unknown.detail, "no host named db.example was found")
    const later = connect(system("EAI_AGAIN", "getaddrinfo"), { to })
    assert.strictEqual(later.reason, "Unreachable")
    assert.include(later.detail, "db.example can't be looked up at the moment")
  })

  it("of several attempts the one that got furthest is told", () => {
    const furthest = (...codes: ReadonlyArray<string>) =>
      connect(
        new AggregateError(codes.map((code) => system(code)), "all failed") as unknown as NodeJS.ErrnoException,
        { to: "tcp://several.test:80" }
      ).reason
    assert.strictEqual(furthest("ECONNREFUSED", "ECONNREFUSED"), "ConnectionRefused")
    assert.strictEqual(furthest("ENETUNREACH", "ECONNREFUSED"), "ConnectionRefused")
    assert.strictEqual(furthest("ECONNREFUSED", "ENETUNREACH"), "ConnectionRefused")
    assert.strictEqual(furthest("ETIMEDOUT", "ENETUNREACH"), "TimedOut")
    assert.strictEqual(furthest("ETIMEDOUT", "ECONNREFUSED"), "ConnectionRefused")
    assert.strictEqual(furthest("ECONNREFUSED", "ECONNRESET"), "Reset")
    assert.strictEqual(furthest("EPROTO", "EHOSTUNREACH"), "Unreachable")
    assert.strictEqual(furthest(), "TransportFailed")
  })
})

describe("listen", () => {
  for (
    const [code, reason, says] of [
      ["EADDRINUSE", "AddressInUse", "another program listens there; choose another port, or port 0"],
      ["EADDRNOTAVAIL", "AddressNotAvailable", "this machine has no such address"],
      ["EAFNOSUPPORT", "AddressNotAvailable", "this machine has no such address"],
      ["EACCES", "PermissionDenied", "ports below 1024"],
      ["EMFILE", "TransportFailed", "this process has as many files open as it may"],
      ["EPROTO", "TransportFailed", "EPROTO"]
    ] as const
  ) {
    it(`${code} is ${reason}, in a sentence that names the endpoint`, () => {
      const error = listen(system(code, "listen"))
      assert.strictEqual(error.operation, "listen")
      assert.strictEqual(error.reason, reason)
      assert.include(error.message, "listen tcp://192.0.2.1:80: ")
      assert.include(error.detail, says)
    })
  }

  it("with port 0 a port in use is no port that is left", () => {
    assert.include(listen(system("EADDRINUSE"), "tcp://192.0.2.1:0").detail, "all ports of that address are in use")
  })

  it("a link-local address without its interface, and a name that is not found, say so", () => {
    const local = listen(system("EINVAL", "listen"), "tcp://[fe80::1]:80")
    assert.strictEqual(local.reason, "AddressNotAvailable")
    assert.include(local.detail, "a link-local address needs the interface")
    const name = listen(system("ENOTFOUND", "getaddrinfo"), "tcp://nowhere.test:80")
    assert.strictEqual(name.reason, "AddressNotAvailable")
    assert.strictEqual(name.detail, "no host named nowhere.test was found")
    const later = listen(system("EAI_AGAIN", "getaddrinfo"), "tcp://nowhere.test:80")
    assert.strictEqual(later.reason, "AddressNotAvailable")
    assert.include(later.detail, "try again later")
  })
})

describe("source", () => {
  const fault = (to: string, source: string) => InetErrors.sourceFault(at(to), at(source))

  it("an address of the destination's family, or of either for a name, is right", () => {
    assert.isUndefined(fault("tcp://192.0.2.1:80", "tcp://192.0.2.2:0"))
    assert.isUndefined(fault("tcp://[2001:db8::1]:80", "tcp://[::1]:5000"))
    assert.isUndefined(fault("tcp://several.test:80", "tcp://[::1]:0"))
    assert.isUndefined(fault("tcp://several.test:80", "tcp://0.0.0.0:5000"))
  })

  it("a name, and an address of the other family, are refused", () => {
    for (
      const [to, source] of [
        ["tcp://192.0.2.1:80", "tcp://here.test:0"],
        ["tcp://192.0.2.1:80", "tcp://[::]:0"],
        ["tcp://[::1]:80", "tcp://0.0.0.0:0"]
      ] as const
    ) {
      const error = fault(to, source)
      assert.strictEqual(error?.reason, "AddressNotAvailable")
      assert.include(error?.message, `connect ${to}: source ${source} is a`)
    }
  })
})
