// The function that `net.createServer` would take: it is given each connection.
import type { Socket } from "node:net"

export const connection = (socket: Socket): void => void socket.pipe(socket)
