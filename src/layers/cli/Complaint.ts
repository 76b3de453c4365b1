/**
 * What went wrong, in one sentence for whoever called a command: what is the matter, and what to change.
 *
 * An error of a program says at each step what could not be done because of the step below. Whoever called `sluice` knows
 * what the command was to do, so the last step is enough.
 */
import * as Endpoint from "../../domain/net/Endpoint.ts"
import type * as Options from "../../domain/options/Options.ts"
import type { AttachFailed } from "../../services/SessionLayer.ts"

/** Why `serve` or `proxy` could not attach its application. */
export const ofAttach = ({ reason }: AttachFailed, { listen }: Pick<Options.AppOptions, "listen">): string => {
  switch (reason._tag) {
    case "WorkerFailed":
      return listen.some((endpoint) => reason.detail.startsWith(`can't listen on ${Endpoint.format(endpoint)}: `))
        ? `${reason.detail} (--listen)`
        : reason.detail
    case "NoSuchNamespace":
      return `--namespace: ${reason.message}; this host has "default" and no other, so leave it out`
    case "WrongSecret":
      return `SLUICE_SECRET, or secret in the configuration file: ${reason.message}; leave it out if it has none`
    default:
      return reason.message
  }
}
