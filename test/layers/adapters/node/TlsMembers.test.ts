/** What programs that are written for Node's TLS find at a socket, compared with what they find under plain Node. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { once } from "node:events"
import type * as Http from "node:http"
import * as Http2 from "node:http2"
import * as Https from "node:https"
import type * as Net from "node:net"
import type * as Tls from "node:tls"
import * as Handle from "../../../../src/domain/state/Handle.ts"
import * as NodeApps from "../../../../src/layers/adapters/node/NodeApps.ts"
import * as SessionDuplex from "../../../../src/layers/adapters/node/SessionDuplex.ts"
import * as Host from "../../../../src/layers/Host.ts"
import * as AppWorker from "../../../../src/services/AppWorker.ts"
import { SessionLayer } from "../../../../src/services/SessionLayer.ts"
import * as Pem from "../../../support/Pem.ts"
import { authority } from "../../../support/Tls.ts"

/** What libraries ask of a request's socket. */
const facts = (socket: Tls.TLSSocket): object => {
  const certificate = socket.getPeerCertificate()
  const issuers: Array<unknown> = []
  for (let at = socket.getPeerCertificate(true); at?.issuerCertificate !== undefined; at = at.issuerCertificate) {
    issuers.push(at.issuerCertificate.fingerprint256)
    if (at.issuerCertificate === at) break
  }
  return {
    encrypted: socket.encrypted,
    authorized: socket.authorized,
    authorizationError: socket.authorizationError ?? null,
    alpn: socket.alpnProtocol,
    servername: Reflect.get(socket, "servername"),
    protocol: socket.getProtocol(),
    cipher: socket.getCipher(),
    reused: socket.isSessionReused(),
    certificate,
    issuers,
    x509: socket.getPeerX509Certificate()?.fingerprint256
  }
}

/** JSON of what the request's socket says, and which session it knows. */
const telling: Http.RequestListener = (request, response) => {
  const session = SessionDuplex.sessionOf(request.socket)
  response.end(JSON.stringify({
    ...facts(request.socket as Tls.TLSSocket),
    session: session === undefined ? null : Handle.format(session.handle)
  }))
}

const { certificate: cert, key } = Pem.pair("chain")

type Client = Https.RequestOptions & Tls.ConnectionOptions

const clients: Readonly<Record<string, Client>> = {
  "nobody": {},
  "a name": { servername: "chain.test" },
  "TLS 1.2": { maxVersion: "TLSv1.2", ciphers: "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256" },
  "ALPN": { ALPNProtocols: ["http/1.1"] },
  "a certificate with its chain": { cert, key },
  "a certificate that nobody knows": { cert: Pem.pair("rsa").certificate, key: Pem.pair("rsa").key }
}

const asked = async (port: number, client: Client): Promise<{ session: string | null }> => {
  const request = Https.request({ port, host: "127.0.0.1", ca: authority, agent: false, ...client }).end()
  const [response] = await once(request, "response") as [Http.IncomingMessage]
  let text = ""
  for await (const part of response) text += part
  return JSON.parse(text)
}

const listening = (app: NodeApps.Servable, placement: "shared" | "transfer", alpn: ReadonlyArray<string> = []) =>
  Effect.gen(function*() {
    const host = Context.get(yield* Layer.build(Host.layer), SessionLayer)
    yield* host.attach({
      name: "app",
      listen: ["tls://127.0.0.1:0"],
      certificates: [Pem.pair("chain")],
      listener: { placement, alpn, clientCertificate: "request", clientAuthorities: [authority] },
      workers: 1,
      worker: { kind: "in-process" }
    }, AppWorker.fromLayer(NodeApps.layer(app)))
    const { apps } = yield* host.report
    return Number(new URL(apps[0]!.listeners[0]!.endpoint).port)
  })

describe("the socket of a session that came over TLS", () => {
  for (const placement of ["shared", "transfer"] as const) {
    it.live(`says what one of Node's says of the handshake and the peer (${placement})`, () =>
      Effect.gen(function*() {
        const plain = Https.createServer({
          cert,
          key,
          ca: authority,
          requestCert: true,
          rejectUnauthorized: false,
          ALPNProtocols: ["http/1.1"]
        }, telling).listen(0, "127.0.0.1")
        yield* Effect.promise(() => once(plain, "listening"))
        const port = yield* listening(telling, placement, ["http/1.1"])
        for (const [who, client] of Object.entries(clients)) {
          const here = yield* Effect.promise(() => asked(port, client))
          const there = yield* Effect.promise(() => asked((plain.address() as Net.AddressInfo).port, client))
          assert.isString(here.session)
          assert.deepStrictEqual({ ...here, session: null }, there, who)
        }
        plain.close()
      }).pipe(Effect.scoped))

    it.live(`is given to a server that would do the handshake itself as one whose handshake is done (${placement})`, () =>
      Effect.gen(function*() {
        const port = yield* listening(Https.createServer({ cert, key }, telling), placement)
        assert.isString((yield* Effect.promise(() => asked(port, {}))).session)
      }).pipe(Effect.scoped))

    it.live(`serves HTTP/2 and HTTP/1 by ALPN, and knows its session under both (${placement})`, () =>
      Effect.gen(function*() {
        const server = Http2.createSecureServer({ cert, key, allowHTTP1: true }, (request, response) => {
          const session = SessionDuplex.sessionOf(request.socket)
          response.end(
            JSON.stringify({ version: request.httpVersion, session: session && Handle.format(session.handle) })
          )
        })
        const port = yield* listening(server, placement, ["h2", "http/1.1"])
        const first = yield* Effect.promise(() => asked(port, {}))
        assert.propertyVal(first, "version", "1.1")
        assert.isString(first.session)
        const client = Http2.connect(`https://127.0.0.1:${port}`, { ca: authority })
        const text = yield* Effect.promise(async () => {
          let text = ""
          for await (const part of client.request({ ":path": "/" })) text += part
          return text
        })
        assert.propertyVal(JSON.parse(text), "version", "2.0")
        assert.isString(JSON.parse(text).session)
        client.close()
      }).pipe(Effect.scoped))
  }
})
