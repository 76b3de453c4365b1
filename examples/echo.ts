// What `net.createServer` takes: a function that is given each connection.
import type { Socket } from "node:net"

export const connection = (socket: Socket): void => void socket.pipe(socket)
