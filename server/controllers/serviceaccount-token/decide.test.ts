import { deepStrictEqual } from 'node:assert'
import { test } from 'node:test'
import type { Secret, ServiceAccount, Stored } from '#api/types/index.ts'
import { ACCOUNT_NAME, ACCOUNT_UID, decideTokenSecret, TOKEN_SECRET_TYPE } from './decide.ts'

const base64 = (text: string) => Buffer.from(text).toString('base64')
const meta = { uid: 'u', resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' }
const account: Stored<ServiceAccount> = { metadata: { ...meta, name: 'robot', namespace: 'ns', uid: 'sa-uid' } }
const secret = (over: Partial<Secret> = {}, annotations: Record<string, string> = { [ACCOUNT_NAME]: 'robot' }): Stored<Secret> => ({ type: TOKEN_SECRET_TYPE, ...over, metadata: { ...meta, name: 's', namespace: 'ns', annotations, ...over.metadata } })
const decide = (s: Stored<Secret>, a: Stored<ServiceAccount> | undefined = account) => decideTokenSecret({ secret: s, account: a, rootCaPem: 'CA' }).actions

test('an empty token secret gets a token, the authority and its namespace; a filled one is left alone', () => {
  const data = { 'ca.crt': base64('CA'), namespace: base64('ns') }
  const full = { data: { ...data, token: 'dA==' } }
  const own = { [ACCOUNT_NAME]: 'robot', [ACCOUNT_UID]: 'sa-uid' }
  deepStrictEqual([decide(secret()), decide(secret(full, own)), decide(secret(full)), decide(secret({ data: { ...full.data, 'ca.crt': base64('OLD') } }, own))], [
    [{ kind: 'fill', uid: 'sa-uid', data, needsToken: true }], [], [{ kind: 'fill', uid: 'sa-uid', data: {}, needsToken: false }], [{ kind: 'fill', uid: 'sa-uid', data: { 'ca.crt': base64('CA') }, needsToken: false }],
  ])
})

test('a token secret goes with its account, also when another account has taken the name', () => {
  const gone = decideTokenSecret({ secret: secret(), account: undefined, rootCaPem: 'CA' })
  deepStrictEqual([gone, decide(secret({}, { [ACCOUNT_NAME]: 'robot', [ACCOUNT_UID]: 'old' }))], [{ actions: [{ kind: 'delete' }], because: 'service account ns/robot was not found' }, [{ kind: 'delete' }]])
})

test('other secrets, and those of accounts that are going, are left alone', () => {
  const going: Stored<ServiceAccount> = { metadata: { ...account.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' } }
  deepStrictEqual([decide(secret({ type: 'Opaque' })), decide(secret({}, {})), decide(secret(), going)], [[], [], []])
})
