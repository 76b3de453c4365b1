import { assert, describe, it } from "@effect/vitest"
import * as Endpoint from "../../../src/domain/net/Endpoint.ts"
import * as SocketTable from "../../../src/domain/net/SocketTable.ts"

const inetHead = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"

/** A line of a table of addresses. */
const inet = (local: string, state: string, inode: number): string =>
  `   1: ${local} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000     0        0 ${inode} 1 0 100 0\n`

/** Lines as Linux writes them, on a machine whose words begin with their lowest byte. */
const tables: Partial<Record<typeof SocketTable.socketTables[number], string>> = {
  tcp: inetHead + inet("0100007F:1E79", "0A", 11) + inet("00000000:0050", "0A", 12) + inet("0100007F:1E79", "01", 13),
  tcp6: inetHead + inet("00000000000000000000000000000000:01BB", "0A", 14)
    + inet("B80D01200000000000000000EFBEADDE:0001", "0A", 15),
  udp: inetHead + inet("0100007F:14E9", "07", 16) + inet("0100007F:14E9", "01", 17),
  unix: "Num       RefCount Protocol Flags    Type St Inode Path\n"
    + "0000000097ddc377: 00000002 00000000 00010000 0001 01 18 /run/my shop.sock\n"
    + "0000000097ddc378: 00000003 00000000 00000000 0001 03 19 /run/shop.sock\n"
    + "0000000097ddc379: 00000002 00000000 00000000 0002 01 20 /run/dgram.sock\n"
    + "000000009d00c379: 00000002 00000000 00010000 0001 01 21 @shop\n"
    + "000000009d00c37a: 00000002 00000000 00010000 0001 01 22\n"
}

const find = (inode: number): string => {
  const found = SocketTable.find((table) => tables[table] ?? "", String(inode))
  return found._tag === "Serves" ? Endpoint.format(found.endpoint) : found.why
}

describe("the tables of sockets", () => {
  it("say where a socket listens, or why it is none for a listener", () => {
    assert.deepStrictEqual([11, 12, 14, 15, 16, 18].map(find), [
      "tcp://127.0.0.1:7801",
      "tcp://0.0.0.0:80",
      "tcp://[::]:443",
      "tcp://[2001:db8::dead:beef]:1",
      "udp://127.0.0.1:5353",
      "unix:///run/my shop.sock"
    ])
    assert.deepStrictEqual([13, 17, 19, 20, 21, 22, 99].map(find), [
      "is a connection, and no socket that listens: a socket unit needs Accept=no",
      "is connected to a peer, and hears nobody else",
      "is a Unix socket that does not listen: a socket unit needs Accept=no",
      "is a Unix socket of datagrams or packets, and only streams are served",
      "is a Unix socket without a path in the file system",
      "is a Unix socket without a path in the file system",
      "is no socket of TCP or UDP and no Unix socket, or does not listen"
    ])
  })
})
