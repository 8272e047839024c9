/**
 * `Impersonate-User` and its kin (kubectl --as). Constrained impersonation first (KEP-5284): being somebody needs the verb
 * `impersonate:<mode>` on who it is and `impersonate-on:<mode>:<verb>` on what is asked for; then the old way, the verb
 * `impersonate` alone. The first refusal is what is told.
 */
import type { UserInfo } from '#api/types/index.ts'
import type { Attributes, Authorizer } from '../auth.ts'
import { valuesOf } from '../http/separate-values.ts'
import { badRequest, forbidden, StatusError } from '../http/status.ts'
import { authorizeAttributes } from './authorize.ts'

/** `constraint`: the verb that allowed it, for the audit log; absent for the old way. */
export interface Impersonated { user: UserInfo; constraint?: string }

export interface Impersonator {
  /** `attributes`: what is asked for, by who really asks. Throws 400 and 403. Undefined: nobody is impersonated. */
  impersonate(headers: Readonly<Record<string, string>>, attributes: Attributes): Promise<Impersonated | undefined>
}

interface Wanted { name: string; uid: string; groups: readonly string[]; extra: Readonly<Record<string, readonly string[]>> }

interface Mode {
  /** '' for the old way. */
  name: string
  isFor: (wanted: Wanted, requestor: UserInfo) => boolean
}

const EXTRA = 'impersonate-extra-'
const NODE = /^system:node:(?=.{1,253}$)([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*)$/
const SERVICE_ACCOUNT = /^system:serviceaccount:([a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?):([a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?)$/
const NODE_NAME = 'authentication.kubernetes.io/node-name'
const PRIVILEGED = 'system:masters'
/** From so many on, one check for all of them is tried first (upstream). */
const MANY = 4
/** Requestors whose last mode is remembered. */
const REMEMBERED_MAX = 512

const isOnlyName = ({ uid, groups, extra }: Wanted): boolean => uid === '' && groups.length === 0 && Object.keys(extra).length === 0
const nodeOf = (name: string): string | undefined => NODE.exec(name)?.[1]

const MODES: readonly Mode[] = [
  // A pod's own node: what agents that run on every node need.
  { name: 'associated-node', isFor: (wanted, { name, extra }) => isOnlyName(wanted) && nodeOf(wanted.name) !== undefined && SERVICE_ACCOUNT.test(name) && extra?.[NODE_NAME]?.length === 1 && extra[NODE_NAME][0] === nodeOf(wanted.name) },
  { name: 'arbitrary-node', isFor: (wanted) => isOnlyName(wanted) && nodeOf(wanted.name) !== undefined },
  { name: 'serviceaccount', isFor: (wanted) => isOnlyName(wanted) && SERVICE_ACCOUNT.test(wanted.name) },
  { name: 'user-info', isFor: ({ name }) => nodeOf(name) === undefined && !SERVICE_ACCOUNT.test(name) },
  { name: '', isFor: () => true },
]

export const asksToImpersonate = (headers: Readonly<Record<string, string>>): boolean => {
  for (const name in headers) if (name.startsWith('impersonate-')) return true
  return false
}

export function createImpersonator(authorizer: Authorizer): Impersonator {
  /** By requestor: the mode that worked last is likely to work again. */
  const remembered = new Map<string, Mode>()
  return {
    async impersonate(headers, attributes) {
      const wanted = wantedUser(headers)
      if (!wanted) return undefined
      const requestor = attributes.user
      const last = remembered.get(requestor.name)
      let refusal: unknown
      for (const mode of last ? [last, ...MODES.filter((m) => m !== last)] : MODES) {
        if (!mode.isFor(wanted, requestor)) continue
        try {
          const impersonated = await tryMode(mode, wanted, attributes, authorizer)
          if (remembered.size >= REMEMBERED_MAX) remembered.clear()
          remembered.set(requestor.name, mode)
          return impersonated
        } catch (error) {
          if (!(error instanceof StatusError)) throw error
          refusal ??= error
        }
      }
      throw refusal
    },
  }
}

async function tryMode({ name: mode }: Mode, wanted: Wanted, attributes: Attributes, authorizer: Authorizer): Promise<Impersonated> {
  const isConstrained = mode !== ''
  const requestor: UserInfo = mode !== 'associated-node' ? attributes.user : { ...attributes.user, extra: { 'authentication.kubernetes.io/associated-node-keys': Object.keys(attributes.user.extra ?? {}).toSorted() } }
  if (isConstrained) await authorizeAttributes(authorizer, { ...attributes, user: requestor, verb: `impersonate-on:${mode}:${attributes.verb}` })
  const verb = isConstrained ? `impersonate:${mode}` : 'impersonate'
  const may = (group: string, resource: string, name: string, { namespace = '', subresource = '' } = {}) =>
    authorizeAttributes(authorizer, { user: requestor, verb, resource: { group, version: 'v1', resource, subresource, namespace, name } })
  const namesGroup = isConstrained ? 'authentication.k8s.io' : ''

  const account = SERVICE_ACCOUNT.exec(wanted.name)
  const node = isConstrained ? nodeOf(wanted.name) : undefined
  if (account) await may(namesGroup, 'serviceaccounts', account[2] ?? '', { namespace: account[1] ?? '' })
  else if (node !== undefined) await may(namesGroup, 'nodes', mode === 'associated-node' ? '*' : node)
  else await may(namesGroup, 'users', wanted.name)
  if (wanted.uid !== '') await may('authentication.k8s.io', 'uids', wanted.uid)
  await authorizeGroups(wanted.groups, isConstrained, (group) => may(namesGroup, 'groups', group))
  await authorizeExtra(wanted.extra, isConstrained, (key, value) => may('authentication.k8s.io', 'userextras', value, { subresource: key }))

  const implied = wanted.groups.length > 0 ? wanted.groups : account ? ['system:serviceaccounts', `system:serviceaccounts:${account[1] ?? ''}`] : node !== undefined ? ['system:nodes'] : []
  const closing = wanted.name === 'system:anonymous' ? 'system:unauthenticated' : implied.includes('system:unauthenticated') ? undefined : 'system:authenticated'
  const groups = closing === undefined || implied.includes(closing) ? [...implied] : [...implied, closing]
  const extra = Object.fromEntries(Object.entries(wanted.extra).map(([key, values]) => [key, [...values]]))
  return { user: { name: wanted.name, groups, ...(wanted.uid !== '' && { uid: wanted.uid }), ...(Object.keys(extra).length > 0 && { extra }) }, ...(isConstrained && { constraint: verb }) }
}

async function authorizeGroups(groups: readonly string[], isConstrained: boolean, may: (group: string) => Promise<void>): Promise<void> {
  if (isConstrained && groups.includes('')) throw refused('groups', '', 'impersonating the empty string group is not allowed')
  if (isConstrained && groups.includes(PRIVILEGED)) throw refused('groups', PRIVILEGED, 'impersonating the system:masters group is not allowed')
  if (isConstrained && groups.length >= MANY && await isAllowed(may('*'))) return
  for (const group of groups) await may(group)
}

async function authorizeExtra(extra: Wanted['extra'], isConstrained: boolean, may: (key: string, value: string) => Promise<void>): Promise<void> {
  const entries = Object.entries(extra)
  const problem = isConstrained ? entries.map(([key, values]) => extraProblem(key, values)).find((p) => p !== undefined) : undefined
  if (problem !== undefined) throw refused('userextras', '', problem)
  const count = entries.reduce((sum, [, values]) => sum + values.length, 0)
  if (isConstrained && count >= MANY && await isAllowed(may('*', '*'))) return
  for (const [key, values] of entries) for (const value of values) await may(key, value)
}

function extraProblem(key: string, values: readonly string[]): string | undefined {
  if (key === '') return 'impersonating the empty string key in extra is not allowed'
  if (!/^[^/]+\/.+$/.test(key)) return `impersonating an invalid key in extra is not allowed: extra.key: Invalid value: ${JSON.stringify(key)}: must be a domain-prefixed path (such as "acme.io/foo")`
  if (values.length === 0) return 'impersonating empty values in extra is not allowed'
  return values.includes('') ? 'impersonating the empty string value in extra is not allowed' : undefined
}

const refused = (resource: string, name: string, why: string): StatusError => forbidden({ group: 'authentication.k8s.io', resource }, name, why)

async function isAllowed(check: Promise<void>): Promise<boolean> {
  try {
    await check
    return true
  } catch (error) {
    if (error instanceof StatusError) return false
    throw error
  }
}

/** As the headers say it; undefined: nobody is asked for. */
function wantedUser(headers: Readonly<Record<string, string>>): Wanted | undefined {
  const [name, uid, groups] = [headers['impersonate-user'] ?? '', headers['impersonate-uid'] ?? '', valuesOf(headers['impersonate-group'])]
  const extra: Record<string, string[]> = {}
  for (const [header, value] of Object.entries(headers)) if (header.startsWith(EXTRA)) extra[unescaped(header.slice(EXTRA.length))] = valuesOf(value)
  const isAlone = uid === '' && groups.length === 0 && Object.keys(extra).length === 0
  if (name === '' && !isAlone) throw badRequest(`requested ${goUser({ name, uid, groups, extra })} without impersonating a user name`)
  return name === '' ? undefined : { name, uid, groups, extra }
}

/** Go's `%#v`. */
function goUser({ name, uid, groups, extra }: Wanted): string {
  const slice = (list: readonly string[]) => (list.length === 0 ? '[]string(nil)' : `[]string{${list.map((v) => JSON.stringify(v)).join(', ')}}`)
  const entries = Object.entries(extra).map(([key, values]) => `${JSON.stringify(key)}:${slice(values)}`)
  return `&user.DefaultInfo{Name:${JSON.stringify(name)}, UID:${JSON.stringify(uid)}, Groups:${slice(groups)}, Extra:map[string][]string${entries.length === 0 ? '(nil)' : `{${entries.join(', ')}}`}}`
}

function unescaped(key: string): string {
  try {
    return decodeURIComponent(key)
  } catch {
    return key // Not escaped, then: upstream takes it as it is.
  }
}
