/** Requests and the API that admission plugins get, for tests of single plugins. */
import type { Client } from '#api/client/client.ts'
import type { AdmissionApi, AdmissionRequest } from './admission.ts'
import { Rows } from './rows.ts'

/** A CREATE of nothing in `default` by the user `u`, but for what is given. */
export function admissionRequest(over: Partial<AdmissionRequest> & Pick<AdmissionRequest, 'ref'>): AdmissionRequest {
  const { group, version, kind } = over.ref
  return {
    operation: 'CREATE', verb: 'create', kind: { group, version, kind }, subresource: '', namespace: 'default', name: '', object: undefined, old: undefined, options: undefined,
    user: { name: 'u', groups: [] }, dryRun: false, reinvocation: { isSecond: false, request() {}, memory: new Map() }, ...over,
  }
}

/** Lets nobody do anything, has no rows, and keeps nothing of what it is told. */
export function admissionApi(client: Client, over: Partial<AdmissionApi> = {}): AdmissionApi {
  return {
    client, rows: new Rows([]), signal: new AbortController().signal, warn() {}, annotate() {},
    authorizer: { authorize: () => Promise.resolve({ allowed: false, reason: '' }), rulesFor: () => Promise.resolve({ resourceRules: [], nonResourceRules: [], incomplete: false }) },
    replace: () => ({ ok: false, message: 'not in this test' }), ...over,
  }
}
