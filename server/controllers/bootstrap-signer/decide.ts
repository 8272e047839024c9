/**
 * ConfigMap kube-public/cluster-info carries a signature of its kubeconfig by each bootstrap token that may sign: who knows
 * a token can tell that the cluster is the one that knows it, too (KEP-130). Detached JWS, HS256. Pure.
 */
import { createHmac } from 'node:crypto'
import type { ConfigMap, Secret, Stored } from '#api/types/index.ts'
import { nothing, type DecideContext, type Decision } from '#base/reconcile/action.ts'
import { expiresMs, signingToken } from '../bootstrap-tokens.ts'
import { earlier } from '../time.ts'

export interface BootstrapSignerView { info: Stored<ConfigMap>; tokens: readonly Stored<Secret>[] }
export type BootstrapSignerAction = { kind: 'write'; data: Record<string, string> }

const KUBECONFIG = 'kubeconfig'
const PREFIX = 'jws-kubeconfig-'

export function decideBootstrapSigner({ info, tokens }: BootstrapSignerView, { nowMs }: DecideContext): Decision<BootstrapSignerAction> {
  const content = info.data?.[KUBECONFIG]
  if (content === undefined) return nothing('cluster-info has no kubeconfig')
  const own = tokens.flatMap((secret) => signingToken(secret, nowMs) ?? [])
  const wakeAtMs = tokens.filter((secret) => signingToken(secret, nowMs)).reduce<number | undefined>((soonest, secret) => earlier(soonest, expiresMs(secret)), undefined)
  const signatures = Object.fromEntries(own.map(({ id, secret }) => [`${PREFIX}${id}`, detachedSignature(content, id, secret)]))
  const data = { ...Object.fromEntries(Object.entries(info.data ?? {}).filter(([key]) => !key.startsWith(PREFIX))), ...signatures }
  const names = Object.keys(data)
  const isSame = names.length === Object.keys(info.data ?? {}).length && names.every((name) => info.data?.[name] === data[name as keyof typeof data])
  const wake = wakeAtMs === undefined ? {} : { wakeAtMs: wakeAtMs + 1 }
  return isSame ? { ...nothing<BootstrapSignerAction>('signed'), ...wake } : { actions: [{ kind: 'write', data }], because: 'signatures changed', ...wake }
}

/** A JWS without its payload. */
export function detachedSignature(content: string, id: string, secret: string): string {
  const header = Buffer.from(JSON.stringify({ alg: 'HS256', kid: id })).toString('base64url')
  const payload = Buffer.from(content).toString('base64url')
  return `${header}..${createHmac('sha256', secret).update(`${header}.${payload}`).digest('base64url')}`
}
