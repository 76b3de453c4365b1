/**
 * The host side of Sluice for programs that are not written with Effect.
 *
 * @since 0.1.0
 */
export type { AppOptionsInput } from "./domain/options/AppOptions.ts"
export {
  type AppInput,
  type PlainApp,
  type PlainHost,
  start,
  type StartOptions,
  type StopOptions
} from "./layers/PlainHost.ts"
export { AttachFailed } from "./services/SessionLayer.ts"
