/**
 * The host side of Sluice for programs that are not written with Effect.
 *
 * @since 0.1.0
 */
export {
  type AppInput,
  type PlainApp,
  type PlainAppOptions,
  type PlainHost,
  start,
  type StartOptions,
  type StopOptions
} from "./layers/PlainHost.ts"
export { AttachFailed } from "./services/SessionLayer.ts"
