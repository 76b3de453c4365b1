/** What somebody who looks at `top` has chosen: which page, in what order, which of the workers and sessions. */
import type * as Overview from "../../../domain/overview/Overview.ts"
import type * as Report from "../../../domain/report/Report.ts"
import type { TopAction } from "./TopActions.ts"

export type Page = "main" | "listeners" | "sessions" | "why" | "help"

/** Something to be told until the next key is pressed. */
export interface Said {
  readonly level: Overview.Level
  readonly text: string
}

export interface TopChoice {
  readonly page: Page
  /** Where Esc leads from the pages that are read: help, and stories. */
  readonly back: Page
  /** Which of {@link orders} the workers are in, and whether the other way round; the same for sessions. */
  readonly order: number
  readonly reversed: boolean
  readonly sort: Report.SessionSorting
  readonly sortReversed: boolean
  /** Where the pages of sessions up to the one that is shown went on: `next` of the one before. */
  readonly pages: ReadonlyArray<string>
  readonly filter: string
  /** The filter that is being typed. */
  readonly typing: string | undefined
  /** Handles of the selected worker and session; and of the worker whose sessions are shown. */
  readonly worker: string | undefined
  readonly session: string | undefined
  readonly of: string | undefined
  /** How many lines of a page that is read are above the screen. */
  readonly above: number
  /** What is to be confirmed. */
  readonly asked: TopAction | undefined
  readonly said: Said | undefined
  /** A story that is told, or is on its way. */
  readonly story: { readonly of: string; readonly lines: ReadonlyArray<string> | undefined } | undefined
}

export const initial: TopChoice = {
  page: "main",
  back: "main",
  order: 0,
  reversed: false,
  sort: "age",
  sortReversed: false,
  pages: [],
  filter: "",
  typing: undefined,
  worker: undefined,
  session: undefined,
  of: undefined,
  above: 0,
  asked: undefined,
  said: undefined,
  story: undefined
}
