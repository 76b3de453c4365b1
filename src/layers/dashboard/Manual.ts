/**
 * The manual of the control API, as a page and as OpenAPI: both are made from the API itself.
 *
 * It is a page of its own and not one of the viewers that come with Effect: those are megabytes of script, which a policy
 * would have to trust, and they send requests to hosts of others.
 */
import * as OpenApi from "effect/http-api/OpenApi"
import { ControlApi } from "../../services/ControlApi.ts"

/** The API as OpenAPI 3.1 describes one. */
export const spec = OpenApi.fromApi(ControlApi)

type Operation = OpenApi.OpenAPISpecOperation

const METHODS = ["get", "post", "delete"] as const

const escapes: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", "\"": "&quot;" }

const html = (text: string): string => text.replace(/[&<>"]/g, (sign) => escapes[sign] ?? sign)

/** A schema in brief, as TypeScript would write it; what it refers to has a name. */
const brief = (schema: unknown): string => {
  if (typeof schema !== "object" || schema === null) return "any"
  const { $ref, anyOf, enum: values, items, type } = schema as Readonly<Record<string, unknown>>
  if (typeof $ref === "string") return $ref.slice($ref.lastIndexOf("/") + 1)
  if (Array.isArray(values)) return values.map((value) => JSON.stringify(value)).join(" | ")
  if (Array.isArray(anyOf)) return [...new Set(anyOf.map(brief))].join(" | ")
  if (type === "array") return `${brief(items)}[]`
  return typeof type === "string" ? type : "any"
}

const contentOf = (content: object | undefined): string =>
  Object.entries(content ?? {}).map(([type, { schema }]) => `${brief(schema)} <small>${html(type)}</small>`).join(", ")

const row = (name: string, what: string): string =>
  `<tr><th scope="row"><code>${html(name)}</code></th><td>${what}</td></tr>`

const table = (title: string, rows: ReadonlyArray<string>): string =>
  rows.length === 0 ? "" : `<table><caption>${title}</caption><tbody>${rows.join("")}</tbody></table>`

const operation = (
  path: string,
  method: string,
  { parameters, requestBody, responses, summary }: Operation
): string => {
  const given = parameters.map((parameter) =>
    row(
      parameter.name,
      `${html(brief(parameter.schema))} <small>${parameter.in}${parameter.required ? ", required" : ""}</small>`
    )
  )
  const answers = Object.entries(responses).map(([status, { content, description }]) =>
    row(status, contentOf(content) || html(description))
  )
  const verb = method.toUpperCase()
  return [
    `<details><summary><code><b>${verb}</b> ${html(path)}</code> ${html(summary ?? "")}</summary>`,
    `<pre>curl --unix-socket $XDG_RUNTIME_DIR/sluice.sock ${verb === "GET" ? "" : `-X ${verb} `}`
    + `'http://sluice${html(path)}'</pre>`,
    table("Parameters", given),
    requestBody === undefined ? "" : table("Body", [row("JSON", contentOf(requestBody.content))]),
    table("Answers", answers),
    "</details>"
  ].join("")
}

const group = (tag: string): string => {
  const operations = Object.entries(spec.paths).flatMap(([path, item]) =>
    METHODS.flatMap((method) => {
      const one = item[method]
      return one === undefined || !one.tags.includes(tag) ? [] : [operation(path, method, one)]
    })
  )
  return `<section><h2>${html(tag)}</h2>${operations.join("")}</section>`
}

const schemas = (): string =>
  Object.entries(spec.components.schemas).map(([name, schema]) =>
    `<details id="${html(name)}"><summary><code>${html(name)}</code></summary><pre>${
      html(JSON.stringify(schema, null, 2))
    }</pre></details>`
  ).join("")

/** The page, without its style. */
export const markup = (): string =>
  `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Sluice: control API</title>
<style>/* style */</style>
<main class="manual">
<h1>${html(spec.info.title)}</h1>
<p>The control socket answers all of this. The page's port answers it too, with a header
<code>Authorization: Bearer &lt;token&gt;</code>, apart from the group <i>host</i>; there, <code>/v1/overview</code> is
sent once a second to whoever accepts <code>text/event-stream</code>. An error is JSON with a <code>_tag</code>; on the
page's port its <code>message</code> is a sentence.</p>
<p><a href="/">The page</a> · <a href="/openapi.json">OpenAPI 3.1</a></p>
${spec.tags.map(({ name }) => group(name)).join("\n")}
<section><h2>schemas</h2>${schemas()}</section>
</main>
</html>
`
