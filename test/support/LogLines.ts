/** A log that a test can read: each line as `WARN [app 0] text`. */
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as References from "effect/References"

export class LogLines {
  readonly lines: Array<string> = []
  readonly stacks: Array<unknown> = []
  readonly layer: Layer.Layer<never>

  constructor(level: "Debug" | "Info" = "Info") {
    const logger = Logger.make<unknown, void>(({ fiber, logLevel, message }) => {
      const { app, stack, worker } = fiber.getRef(References.CurrentLogAnnotations)
      const about = app === undefined ? "" : ` [${app}${worker === undefined ? "" : ` ${worker}`}]`
      this.lines.push(`${logLevel.toUpperCase()}${about} ${String(message)}`)
      this.stacks.push(stack)
    })
    this.layer = Layer.merge(Logger.layer([logger]), Layer.succeed(References.MinimumLogLevel, level))
  }

  /** The lines since the last call. */
  take(): Array<string> {
    return this.lines.splice(0)
  }

  /** The lines since the last call that have this in them. */
  having(text: string): Array<string> {
    return this.take().filter((line) => line.includes(text))
  }
}
