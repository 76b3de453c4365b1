/**
 * For tests of what runs on Sluice: a host in memory, with workers that misbehave on command.
 *
 * @since 0.1.0
 */
export * as AppWorkerScripted from "./layers/AppWorkerScripted.ts"
export * as HostScripted from "./layers/HostScripted.ts"
export * as TransportMemory from "./layers/TransportMemory.ts"
