/**
 * Namespaces: what applications attach to, each with a local table of its own (W3, W17).
 *
 * `default` is always there, without a secret. The others are added and removed while the host runs. To enter one
 * that has a secret, an application must know it.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"

/**
 * What was given as a name or a secret can't be one.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidNamespace extends Schema.TaggedError<InvalidNamespace>()("InvalidNamespace", {
  namespace: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `namespace ${JSON.stringify(this.namespace)}: ${this.detail}`
  }
}

/**
 * A namespace of this name exists; `default` always does.
 *
 * @category errors
 * @since 0.1.0
 */
export class NamespaceExists extends Schema.TaggedError<NamespaceExists>()("NamespaceExists", {
  namespace: Schema.String
}) {
  override get message(): string {
    return `there already is a namespace ${JSON.stringify(this.namespace)}`
  }
}

/**
 * There is no namespace of this name.
 *
 * @category errors
 * @since 0.1.0
 */
export class NoSuchNamespace extends Schema.TaggedError<NoSuchNamespace>()("NoSuchNamespace", {
  namespace: Schema.String
}) {
  override get message(): string {
    return `no namespace ${JSON.stringify(this.namespace)}`
  }
}

/**
 * Applications are attached to the namespace: it can be removed once they are detached.
 *
 * @category errors
 * @since 0.1.0
 */
export class NamespaceInUse extends Schema.TaggedError<NamespaceInUse>()("NamespaceInUse", {
  namespace: Schema.String,
  applications: Schema.Int
}) {
  override get message(): string {
    const applications = this.applications === 1 ? "1 application is" : `${this.applications} applications are`
    return `${applications} attached to namespace ${JSON.stringify(this.namespace)}; detach all applications first`
  }
}

/**
 * The default namespace is always there.
 *
 * @category errors
 * @since 0.1.0
 */
export class DefaultNamespace extends Schema.TaggedError<DefaultNamespace>()("DefaultNamespace", {}) {
  override get message(): string {
    return "the default namespace can't be removed"
  }
}

/**
 * The secret given is not the namespace's. Whether the namespace has one, and whether one was given, is not said.
 *
 * @category errors
 * @since 0.1.0
 */
export class WrongSecret extends Schema.TaggedError<WrongSecret>()("WrongSecret", {
  namespace: Schema.String
}) {
  override get message(): string {
    return `wrong secret for namespace ${JSON.stringify(this.namespace)}`
  }
}

/**
 * A namespace, without its secret.
 *
 * @category models
 * @since 0.1.0
 */
export interface Namespace {
  readonly name: string
  readonly hasSecret: boolean
  /** Applications that are attached to it. */
  readonly applications: number
}

/**
 * A namespace to be added.
 *
 * @category models
 * @since 0.1.0
 */
export interface NamespaceInput {
  /** As in `Options.Name`: 1 to 64 characters. */
  readonly name: string
  /** Not empty. A namespace without a secret is entered without one. */
  readonly secret?: Redacted.Redacted | string | undefined
}

/**
 * The name of the namespace that is always there.
 *
 * @category constants
 * @since 0.1.0
 */
export const DEFAULT = "default"

/**
 * @category services
 * @since 0.1.0
 */
export class Namespaces extends Context.Service<Namespaces, {
  readonly add: (namespace: NamespaceInput) => Effect.Effect<Namespace, InvalidNamespace | NamespaceExists>
  /** Removes a namespace that no application is attached to. */
  readonly remove: (name: string) => Effect.Effect<void, NoSuchNamespace | NamespaceInUse | DefaultNamespace>
  /** All namespaces, `default` first, the others in the order in which they were added. */
  readonly list: Effect.Effect<ReadonlyArray<Namespace>>
  /**
   * Counts the caller among the namespace's applications until the scope closes. The secret must be the namespace's;
   * a namespace without a secret is entered without one.
   */
  readonly enter: (
    name: string,
    secret?: Redacted.Redacted | undefined
  ) => Effect.Effect<Namespace, NoSuchNamespace | WrongSecret, Scope.Scope>
}>()("sluice/services/Namespaces") {}
