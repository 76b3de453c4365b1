/**
 * For tests of what runs on Sluice: a host in memory, with workers that misbehave on command. How to use it, with
 * examples, is in `docs/testing.md`.
 *
 * - `HostScripted.layer` is the host, and the service `HostScripted.HostScripted` is how a test drives and watches it;
 *   `HostScripted.layerStack` is a host with layers of your own in the stacks of its workers.
 * - `AppWorkerScripted.WorkerScript` is what a worker can be told.
 * - `TransportMemory.Network`, `Peer` and `PeerListener` are the other ends of the host's connections.
 *
 * @since 0.1.0
 */
export type * as AppWorkerScripted from "./layers/testing/AppWorkerScripted.ts"
export * as HostScripted from "./layers/testing/HostScripted.ts"
export * as TransportMemory from "./layers/testing/TransportMemory.ts"
