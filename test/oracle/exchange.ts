/** What is asked of both servers: cases, which are sequences of requests about one object, and what a server answers. */

export type Json = Record<string, unknown>

export interface Step {
  /** How it is asked, for the groups of the report: `merge patch`, `apply --force`, `PUT`. */
  form: string
  method: string
  /** A function is given what the server answered last: a page that goes on, a watch from a revision. */
  path: string | ((last: Json) => string)
  type?: string
  headers?: Record<string, string>
  /** JSON unless it is a text. A function is given what the server answered last about the object: a client that reads, changes and writes. */
  body?: unknown
  /** Makes the world that the case is about: must succeed. */
  isSetUp?: true
  /** What the answer says of itself in its headers is compared, too. */
  withHeaders?: true
  /** An OpenAPI document: each place that differs is told. */
  isDocument?: true
  /** What follows is not made of its answer, but of the one before. */
  isAside?: true
}

/** As it went to upstream. */
export type Asked = Step & { path: string }

export type FromLast = (last: Json) => unknown

export interface Case {
  family: string
  /** `apps/v1 deployments` */
  kind: string
  steps: readonly Step[]
  /** What to delete at the end, whatever the answers were; empty: nothing. */
  object: string
  /** What is deleted as well: definitions and objects that the case needs. */
  others?: readonly string[]
}

/** `body`: parsed where it is JSON. `headers`: those that are compared where a step asks for it. */
export interface Answer { status: number; body: unknown; warnings: readonly string[]; headers?: Readonly<Record<string, string>> }

export const clone = <T>(value: T): T => (value === undefined ? value : JSON.parse(JSON.stringify(value)) as T)
export const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value)
