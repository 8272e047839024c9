/** `Impersonate-User` and its kin (kubectl --as): allowed by RBAC on users, groups, serviceaccounts and userextras. */
import type { UserInfo } from '#api/types/index.ts'
import type { Authorizer } from '../auth.ts'
import type { ResourceInfo } from '../http/request-info.ts'
import { badRequest } from '../http/status.ts'
import { authorizeResource } from './authorize.ts'

const SERVICE_ACCOUNT = /^system:serviceaccount:([^:]+):([^:]+)$/
const EXTRA = 'impersonate-extra-'

export async function impersonate(user: UserInfo, headers: Readonly<Record<string, string>>, authorizer: Authorizer): Promise<UserInfo> {
  const name = headers['impersonate-user']
  const groups = split(headers['impersonate-group'])
  const uid = headers['impersonate-uid']
  const extras = Object.entries(headers).filter(([key]) => key.startsWith(EXTRA))
  if (name === undefined) {
    if (groups.length > 0 || uid !== undefined || extras.length > 0) throw badRequest(`requested ${JSON.stringify(groups)} without impersonating a user`)
    return user
  }
  const may = (group: string, resource: string, subresource: string, namespace: string, what: string) =>
    authorizeResource(authorizer, user, 'impersonate', info(group, resource, subresource, namespace, what))
  const account = SERVICE_ACCOUNT.exec(name)
  if (account) await may('', 'serviceaccounts', '', account[1] ?? '', account[2] ?? '')
  else await may('', 'users', '', '', name)
  for (const group of groups) await may('', 'groups', '', '', group)
  if (uid !== undefined) await may('authentication.k8s.io', 'uids', '', '', uid)
  const extra: Record<string, string[]> = {}
  for (const [key, value] of extras) {
    const field = decodeURIComponent(key.slice(EXTRA.length))
    extra[field] = split(value)
    for (const one of extra[field]) await may('authentication.k8s.io', 'userextras', field, '', one)
  }
  const implied = account ? ['system:serviceaccounts', `system:serviceaccounts:${account[1] ?? ''}`] : []
  const all = groups.length > 0 ? groups : implied
  const closing = name === 'system:anonymous' ? 'system:unauthenticated' : 'system:authenticated'
  return { name, groups: all.includes(closing) ? all : [...all, closing], ...(uid !== undefined && { uid }), ...(extras.length > 0 && { extra }) }
}

/** Repeated headers arrive joined. */
const split = (value: string | undefined): string[] => (value === undefined || value === '' ? [] : value.split(',').map((v) => v.trim()))

function info(group: string, resource: string, subresource: string, namespace: string, name: string): ResourceInfo {
  return { kind: 'resource', group, version: 'v1', resource, subresource, namespace, name, rest: '', watchPath: false }
}
