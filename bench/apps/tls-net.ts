/** A bare `tls` server that echoes, with which the host is compared. */
import * as Fs from "node:fs"
import * as Tls from "node:tls"

const read = (name: string): string =>
  Fs.readFileSync(new URL(`../../test/fixtures/certificates/${name}`, import.meta.url), "utf8")

const server = Tls.createServer({ cert: read("chain.pem"), key: read("chain.key") }, (socket) => {
  socket.on("error", () => {})
  socket.on("data", (bytes) => socket.write(bytes))
})
server.listen(0, "127.0.0.1", 511, () => console.log(`port ${(server.address() as { readonly port: number }).port}`))
