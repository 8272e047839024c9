/** `serviceaccounts/token` (TokenRequest): the issuer signs, this words the answer. */
import type { ApiResponse } from '#api/client/transport.ts'
import type { AuthenticationV1TokenRequest, KubeObject } from '#api/types/index.ts'
import { jsonResponse } from '../http/response.ts'
import { invalid as invalidField } from '../field-error.ts'
import { badRequest, conflict, invalid, StatusError, type StatusDetails } from '../http/status.ts'
import { timestamp } from '../storage/object-meta.ts'
import { admitFully } from '../verbs/admit.ts'
import { readBody } from '../verbs/body.ts'
import type { Call } from '../verbs/call.ts'
import { admissionOptions, parseWriteOptions } from '../verbs/options.ts'
import { readHeld } from '../verbs/stored.ts'

export interface TokenIssue {
  namespace: string
  serviceAccount: string
  audiences: readonly string[]
  expirationSeconds?: number | undefined
  boundObjectRef?: { apiVersion?: string; kind?: string; name?: string; uid?: string } | undefined
}

/** Refusals come back as Status parts. */
export type IssueToken = (input: TokenIssue) => Promise<
  | { ok: true; token: string; /** By which the audit log tells tokens apart. */ id: string; expirationTimestamp: string; audiences: readonly string[]; expirationSeconds: number; warning?: string }
  | { ok: false; code: number; reason: string; message: string; details?: StatusDetails }>

const TOKEN_REQUEST = { group: 'authentication.k8s.io', version: 'v1', kind: 'TokenRequest' }

export async function token(call: Call, issue: IssueToken): Promise<ApiResponse> {
  const options = parseWriteOptions(call, 'CreateOptions')
  const request = readBody<AuthenticationV1TokenRequest & KubeObject>(call, { model: 'AuthenticationV1TokenRequest', expect: TOKEN_REQUEST, validation: options.fieldValidation })
  assertMeant(call, request)
  const account = await readHeld(call)
  const { uid } = request.metadata ?? {}
  if (uid && uid !== account.object.metadata.uid) throw conflict({ group: TOKEN_REQUEST.group, resource: TOKEN_REQUEST.kind }, call.info.name, `the UID in the token request (${uid}) does not match the UID of the service account (${account.object.metadata.uid ?? ''})`)
  await admitFully(call, { operation: 'CREATE', name: call.info.name, object: request, old: undefined, options: admissionOptions(call, 'CreateOptions'), dryRun: options.dryRun, as: { ...TOKEN_REQUEST, model: 'AuthenticationV1TokenRequest' } })
  const { name = call.info.name, namespace = call.info.namespace, managedFields: _none, ...meta } = request.metadata ?? {}
  const { audiences, expirationSeconds, boundObjectRef } = request.spec ?? { audiences: [] }
  const issued = await issue({ namespace: call.info.namespace, serviceAccount: call.info.name, audiences: audiences ?? [], expirationSeconds, boundObjectRef })
  if (!issued.ok) throw new StatusError({ code: issued.code, reason: issued.reason, message: issued.message, ...(issued.details && { details: issued.details }) })
  call.annotate('authentication.kubernetes.io/issued-credential-id', `JTI=${issued.id}`)
  if (issued.warning !== undefined) call.warn(issued.warning)
  return jsonResponse({
    kind: 'TokenRequest', apiVersion: 'authentication.k8s.io/v1',
    metadata: { ...meta, name, namespace, creationTimestamp: timestamp(call.parts.clock.nowMs()), ...(account.object.metadata.uid !== undefined && { uid: account.object.metadata.uid }) },
    spec: { ...request.spec, audiences: issued.audiences, expirationSeconds: issued.expirationSeconds },
    status: { token: issued.token, expirationTimestamp: issued.expirationTimestamp },
  }, 201)
}

/** A request that says whose token it wants says the same as the URL. */
function assertMeant({ info }: Call, { metadata }: KubeObject): void {
  if (metadata?.namespace && metadata.namespace !== info.namespace) throw badRequest('the namespace of the provided object does not match the namespace sent on the request')
  if (metadata?.name && metadata.name !== info.name) throw invalid(TOKEN_REQUEST, info.name, [invalidField('metadata.name', metadata.name, 'must match the service account name if specified')])
}
