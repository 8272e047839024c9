/** Contract of admission plugins (`admission/<plugin>.ts`): mutating ones run before validation, validating ones after. */
import type { KubeObject, ResourceRef, UserInfo } from '#api/types/index.ts'
import type { Client } from '#api/client/client.ts'

export interface AdmissionRequest {
  operation: 'CREATE' | 'UPDATE' | 'DELETE' | 'CONNECT'
  ref: ResourceRef
  subresource: string
  namespace: string
  name: string
  /** The new object, to be changed in place by mutate; undefined for DELETE. */
  object: KubeObject | undefined
  /** What is stored; undefined for CREATE. Never changed. */
  old: KubeObject | undefined
  user: UserInfo
  dryRun: boolean
}

/** A refusal: `reason` Forbidden unless the plugin says otherwise. */
export interface Refusal {
  code: number
  reason: string
  message: string
  /** For details.causes of the Status, e.g. NamespaceTerminating. */
  causes?: { reason: string; message: string; field: string }[]
  /** What details and the message speak of, when it is not the request's own object (a missing namespace). */
  about?: { group: string; resource: string; name: string }
}

export interface AdmissionPlugin {
  /** Upstream's name, e.g. `NamespaceLifecycle`. */
  name: string
  mutate?(request: AdmissionRequest, api: AdmissionApi): Promise<Refusal | undefined>
  validate?(request: AdmissionRequest, api: AdmissionApi): Promise<Refusal | undefined>
}

/** What plugins may ask: the in-process client as the API server itself (`system:apiserver`). */
export interface AdmissionApi { client: Client; warn(text: string): void }
